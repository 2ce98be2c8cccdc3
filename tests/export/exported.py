"""Small networks with random weights, what is exported from them, and how far the two are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from maskrcnn.build import build_model
from maskrcnn.config import Config, FPNConfig, InputConfig, MaskHeadConfig, ResNetConfig
from maskrcnn.export.recording import plain_copy
from maskrcnn.export.verification import Differences, compare
from maskrcnn.export.writing import recorded
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.presets import preset
from maskrcnn.runtime.engines import open_engine
from maskrcnn.runtime.model import ExportedModel
from maskrcnn.structures import Categories, KeypointSchema
from maskrcnn.structures.masks import ByteArray

POSED = Categories((3, 7), ("round", "long"), (KeypointSchema(("nose", "left_eye", "right_eye")),) * 2)


def small() -> Config:
    """Of everything that can be made smaller, little."""
    base = preset("tiny")
    return replace(
        base,
        input=InputConfig(min_size=96, max_size=160),
        resnet=ResNetConfig(stem_channels=8),
        fpn=FPNConfig(channels=16),
        rpn=replace(base.rpn, pre_nms_top_k_test=200, post_nms_top_k_test=100),
        box_head=replace(base.box_head, fc_channels=32, max_detections=20),
        mask_head=MaskHeadConfig(channels=16, num_convs=2),
    )


def network_of(config: Config, categories: Categories = POSED, spread: float = 60) -> MaskRCNN:
    """Random weights, so large that no two scores are alike."""
    torch.manual_seed(0)
    network = build_model(config, len(categories), categories.num_keypoints).eval()
    layers = [network.rpn.head.objectness] if network.rpn is not None else []
    layers += [network.box_head.class_logits] if network.box_head is not None else []
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(spread)
        for layer in [branch.mask_logits for name, branch in network.roi_branches.items() if name == "mask_head"]:
            layer.weight.mul_(100)
    return network


def exported_of(
    network: MaskRCNN, config: Config, device: str = "onnxruntime", categories: Categories = POSED
) -> ExportedModel:
    """The graph of a network, in an engine, without a file between."""
    content, contract = recorded(plain_copy(network), config, categories, "small")
    return ExportedModel(open_engine("small", device, content, contract.outputs, threads=1), contract)


def differences(
    network: MaskRCNN,
    exported: ExportedModel,
    images: Sequence[ByteArray],
    threshold: float,
    max_detections: int | None = None,
) -> Differences:
    """One batch through both."""
    seen = Differences()
    tensors: list[Tensor] = [torch.from_numpy(image).permute(2, 0, 1) for image in images]
    theirs = network.predict(tensors, score_threshold=threshold, max_detections=max_detections)
    ours = exported.predict_pass(images, list(images), None, threshold, max_detections)
    for one, other in zip(theirs, ours, strict=True):
        compare(one, other, seen)
    return seen


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> ByteArray:
    """A picture of coarse and fine noise."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.integers(0, 160, (-(-height // 16), -(-width // 16), channels)), np.ones((16, 16, 1)))
    return (coarse[:height, :width] + rng.integers(0, 96, (height, width, channels))).astype(np.uint8)
