"""A graph gives what its network does, for every kind of model."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from export.exported import POSED, differences, exported_of, network_of, noise, small
from maskrcnn.config import (
    AnchorConfig,
    BackboneConfig,
    Config,
    KeypointHeadConfig,
    MaskHeadConfig,
    SemanticHeadConfig,
)
from maskrcnn.export.network import WholeNetwork
from maskrcnn.export.recording import plain_copy
from maskrcnn.presets import preset
from maskrcnn.runtime.model import ExportedModel

SINGLE = AnchorConfig(sizes=((16, 32, 64),))


def every_branch() -> Config:
    return replace(
        small(),
        keypoint_head=KeypointHeadConfig(enabled=True, num_convs=1, channels=16, shift=0.5),
        semantic_head=SemanticHeadConfig(enabled=True, channels=32),
    )


def c4() -> Config:
    base = small()
    return replace(
        base,
        backbone=replace(base.backbone, features="c4"),
        anchors=SINGLE,
        box_head=replace(base.box_head, pooled_size=8, num_fcs=0),
        mask_head=replace(base.mask_head, num_convs=0, pooled_size=8),
        input=replace(base.input, size_divisor=1),
    )


def of_torchvision() -> Config:
    """Its second version in small: convolutions in the box head, two in the RPN, its own rules of anchors and boxes."""
    base, theirs = small(), preset("torchvision_v2")
    box_head = replace(base.box_head, num_convs=2, conv_channels=16, num_fcs=1, norm="bn", min_size=0.01)
    return replace(
        base,
        anchors=replace(theirs.anchors, sizes=((16,), (32,), (64,), (128,), (256,))),
        rpn=replace(base.rpn, num_convs=2, score_threshold=0.3),
        box_head=box_head,
        roi=replace(theirs.roi),
        input=replace(base.input, antialias=False),
        mask_head=replace(base.mask_head, norm="bn", paste="torchvision"),
    )


def odd_masks() -> Config:
    """Fully connected masks whose classes compete, group norm, one box for all classes, adaptive samples."""
    base = small()
    return replace(
        base,
        backbone=BackboneConfig(name="resnet18", norm="gn"),
        box_head=replace(base.box_head, class_agnostic=True),
        mask_head=MaskHeadConfig(kind="mlp", fc_channels=16, loss="softmax", pooled_size=(7, 5)),
        roi=replace(base.roi, sampling_ratio=0, aligned=False),
    )


def fcn() -> Config:
    base = preset("fcn")
    return replace(base, input=small().input, backbone=replace(base.backbone, name="resnet18"), resnet=small().resnet)


def rpn_alone() -> Config:
    base = small()
    off = replace(base.mask_head, enabled=False)
    return replace(base, box_head=replace(base.box_head, enabled=False), mask_head=off)


def five_channels() -> Config:
    base = small()
    return replace(
        base,
        input=replace(base.input, channels=5, mean=(0.5,) * 5, std=(0.2, 0.3, 0.2, 0.3, 0.2)),
        mask_head=replace(base.mask_head, enabled=False),
    )


def light() -> Config:
    base, made = small(), preset("light")
    heads = {name: getattr(base, name) for name in ("fpn", "rpn", "box_head", "mask_head")}
    return replace(made, input=replace(made.input, min_size=96, max_size=160), **heads)


KINDS = {
    "every branch": every_branch,
    "c4": c4,
    "c5": lambda: replace(c4(), backbone=replace(small().backbone, features="c5")),
    "as torchvision's": of_torchvision,
    "odd masks": odd_masks,
    "light": light,
    "fcn": fcn,
    "rpn alone": rpn_alone,
    "five channels": five_channels,
}
THRESHOLD = 0.37


@cache
def both(kind: str, device: str = "onnxruntime") -> tuple[torch.nn.Module, ExportedModel]:
    config = KINDS[kind]()
    network = network_of(config, spread=20 if kind == "odd masks" else 60)
    return network, exported_of(network, config, device)


SLOW = ("c5", "odd masks", "five channels", "light")
"""Recording takes a second or two each."""


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in KINDS])
def test_batches_of_any_size(kind: str) -> None:
    """Also with images in which there is nothing, and of another size in one batch."""
    network, exported = both(kind)
    channels = exported.config.input.channels
    blank = np.full((64, 96, channels), 128, np.uint8)
    for images in (
        [noise(64, 96, channels)],
        [noise(100, 70, channels, 1), blank, noise(33, 150, channels, 2)],
        [blank],
    ):
        seen = differences(network, exported, images, THRESHOLD)
        seen.require_small()
        assert seen.strays == 0
    if kind != "fcn":
        busy = differences(network, exported, [noise(64, 96, channels)], THRESHOLD)
        assert busy.objects > 0 and busy.worst["box"] <= 0.01
        assert ("mask" in busy.worst) == exported.config.mask_head.enabled
    if kind in ("fcn", "every branch"):
        assert differences(network, exported, [blank], THRESHOLD).worst["label"] == 0


@pytest.mark.parametrize(("threshold", "limit"), [(0.0, 3), (0.0, 1000), (1.0, None), (0.6, 1)])
def test_threshold_and_number_are_inputs(threshold: float, limit: int | None) -> None:
    network, exported = both("every branch")
    seen = differences(network, exported, [noise(64, 96), noise(90, 64, seed=3)], threshold, limit)
    seen.require_small()
    assert seen.strays == 0 and (seen.objects == 0) == (threshold == 1.0)
    assert limit is None or seen.objects <= 2 * limit


def test_the_same_in_openvino() -> None:
    pytest.importorskip("openvino")
    network, exported = both("every branch", "openvino")
    blank = np.full((64, 96, 3), 128, np.uint8)
    for images in ([noise(64, 96), blank], [blank], [noise(90, 150, seed=1)]):
        seen = differences(network, exported, images, THRESHOLD)
        seen.require_small()
        assert seen.strays == 0


def test_before_it_is_recorded_it_computes_what_the_network_does() -> None:
    """The slow truth of the graph: the same steps as tensors, batch norms folded."""
    network, _ = both("every branch")
    images = [torch.from_numpy(noise(64, 96)).permute(2, 0, 1), torch.from_numpy(noise(90, 70)).permute(2, 0, 1)]
    batch = network.preprocess.prepare(images)
    with torch.no_grad():
        found = WholeNetwork(plain_copy(network))(
            batch.pixels, torch.tensor(batch.sizes).float(), torch.tensor([THRESHOLD]), torch.tensor([20])
        )
    expected = network.preprocess.to_input(
        [one.boxes for one in network.predict(images, score_threshold=THRESHOLD)], batch
    )
    torch.testing.assert_close(found["boxes"], torch.cat(expected), atol=1e-3, rtol=0)
    assert found["images"].tolist() == [0] * len(expected[0]) + [1] * len(expected[1])
    assert set(found) == {
        *["boxes", "scores", "labels", "images", "mask_probs"],
        "keypoint_head_logits",
        "semantic_head_logits",
    }
    assert found["keypoint_head_logits"].shape[1] == POSED.num_keypoints
