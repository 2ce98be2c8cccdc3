"""Golden cases: small models of torchvision and detectron2, what they computed, and our model with their weights."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.structures import Categories, ImageBatch, PackedMasks, Proposals, Targets
from maskrcnn.weights.foreign import ImportHints, import_foreign
from maskrcnn.weights.foreign.detectron2_yaml import flatten

CASES = (
    "d2_fpn_r50",
    "d2_fpn_r50_torchstyle",
    "d2_c4_r50",
    "d2_dc5_r50",
    "d2_fpn_x101",
    "d2_keypoint_fpn_r50",
    "d2_fpn_gn",
    "d2_class_agnostic",
    "d2_faster_rcnn",
    "tv_maskrcnn_fpn",
    "tv_maskrcnn_fpn_v2",
    "tv_keypointrcnn_fpn",
    "tv_fasterrcnn_fpn",
)
LEVELS = {"p2": 0, "p3": 1, "p4": 2, "p5": 3, "p6": 4, "0": 0, "1": 1, "2": 2, "3": 3, "pool": 4, "res4": 0, "res5": 0}
"""Which of our levels the libraries' names mean."""


@dataclass(frozen=True, eq=False)
class Golden:
    """One case.

    Attributes:
        name: of the folder.
        tensors: everything the library computed.
        meta: its settings, losses, gradient norms, masks.
        case: the reader.
        hints: with which its weights were imported.
        config: our settings of the same model.
        categories: its classes.
        model: our model with its weights, in eval mode.
    """

    name: str
    tensors: dict[str, Tensor]
    meta: dict[str, Any]
    case: Any
    hints: ImportHints
    config: Config
    categories: Categories
    model: MaskRCNN

    @property
    def of_torchvision(self) -> bool:
        return self.name.startswith("tv_")

    def tolerance(self, name: str) -> float:
        """Twice what rounding alone was seen to do to this output in the library itself."""
        return 2 * float(self.meta["sensitivity"]["outputs"].get(name, 0.0)) + 1e-6

    def named(self, prefix: str) -> dict[str, Tensor]:
        """The outputs `prefix`.<level>, by level."""
        return {k[len(prefix) + 1 :]: v for k, v in self.tensors.items() if k.startswith(prefix + ".")}

    def batch(self) -> ImageBatch:
        """The network's input exactly as the library made it, in RGB."""
        pixels = torch.from_numpy(self.case.network_input.copy())
        if self.meta["channel_order"] == "BGR":
            pixels = pixels.flip(1)
        sizes, originals = (
            tuple((int(h), int(w)) for h, w in self.tensors[name].tolist())
            for name in ("input_sizes", "original_sizes")
        )
        return ImageBatch(pixels.contiguous(memory_format=torch.channels_last), sizes, originals)

    def proposals(self, prefix: str = "proposals") -> list[Proposals]:
        boxes = [self.tensors[f"{prefix}.{i}.boxes"] for i in range(2)]
        return [Proposals(b, b.new_zeros(len(b))) for b in boxes]

    def labels(self, prefix: str) -> Tensor:
        """Labels 0..K-1 (background K) under `prefix`.classes or `prefix`.labels."""
        if f"{prefix}.classes" in self.tensors:
            return self.tensors[f"{prefix}.classes"].long()
        labels = self.tensors[f"{prefix}.labels"].long()
        return torch.where(labels == 0, self.num_classes, labels - 1)

    @property
    def num_classes(self) -> int:
        return int(self.meta["num_classes_with_background"] - 1 if self.of_torchvision else self.meta["num_classes"])

    def class_logits(self) -> Tensor:
        """(R, K + 1), background last."""
        logits = self.tensors["box.class_logits"]
        return torch.cat([logits[:, 1:], logits[:, :1]], dim=1) if self.of_torchvision else logits

    def deltas(self) -> Tensor:
        """(R, K or 1, 4)."""
        deltas = self.tensors["box.deltas"]
        deltas = deltas.view(len(deltas), -1, 4)
        return deltas[:, 1:] if self.of_torchvision else deltas

    def targets(self) -> list[Targets]:
        """The training step's ground truth in the input frame."""
        targets = []
        for i in range(2):
            prefix = f"train.target.{i}"
            boxes, labels = self.tensors[f"{prefix}.boxes"], self.labels(prefix)
            masks = None
            if f"{prefix}.masks_packed" in self.tensors:
                masks = PackedMasks.from_bitmaps(torch.from_numpy(np.ascontiguousarray(self.case.masks(prefix))))
            keypoints = self.tensors.get(f"{prefix}.keypoints")
            targets.append(Targets(boxes, labels, masks, keypoints=keypoints))
        return targets


def load_golden(shared: Path, name: str) -> Golden:
    """A case of ../shared/golden with our model of it."""
    case = _reader(shared).load(name)
    tensors = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in case.tensors.items()}
    folder = shared / "golden" / name
    source = next(
        path for n in ("model.pth", "model_old_names.pth", "model_final.pkl") if (path := folder / n).exists()
    )
    known = hints(name, case.meta)
    imported = import_foreign(source, known)
    config = _torchvision_limits(imported.config, case.meta["config"]) if known.settings is None else imported.config
    model = build_model(config, len(imported.categories), imported.categories.num_keypoints)
    model.load_state_dict(imported.state_dict)
    return Golden(name, tensors, case.meta, case, known, config, imported.categories, model.eval())


def hints(name: str, meta: dict[str, Any]) -> ImportHints:
    """What the weights of a case do not show; torchvision's show all but a few limits."""
    return ImportHints(settings=None if name.startswith("tv_") else flatten(meta["config"]))


def _reader(shared: Path) -> Any:
    spec = importlib.util.spec_from_file_location("golden_io", shared / "golden" / "golden_io.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _torchvision_limits(config: Config, values: dict[str, Any]) -> Config:
    return replace(
        config,
        input=replace(config.input, min_size=values["min_size"], max_size=values["max_size"]),
        resnet=replace(config.resnet, norm_eps=values["frozen_bn_eps"]),
        rpn=replace(
            config.rpn,
            pre_nms_top_k_train=values["rpn_pre_nms_top_n_train"],
            pre_nms_top_k_test=values["rpn_pre_nms_top_n_test"],
            post_nms_top_k_train=values["rpn_post_nms_top_n_train"],
            post_nms_top_k_test=values["rpn_post_nms_top_n_test"],
            score_threshold=values["rpn_score_thresh"],
        ),
        box_head=replace(
            config.box_head,
            score_threshold=values["box_score_thresh"],
            max_detections=values["box_detections_per_img"],
        ),
    )
