"""torchvision's side of the comparison: needs torch and torchvision, and nothing of ours but the stopwatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torchvision
from benchmarks.compare.agreement import MASKS_COMPARED, pack_masks
from benchmarks.compare.engine import Engine
from benchmarks.compare.scenarios import Scenario
from benchmarks.compare.weights import spread
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from maskrcnn.benchmark.meter import REST, Stage, StageMeter, metered, stopwatch

LEARNING_RATE = 1e-6
TRAINED_LAYERS = 3
"""The default when a published backbone is trained further: the stem and the first stage stay."""

_FACTORS = {
    "rpn.head.cls_logits": 30.0,
    "rpn.head.bbox_pred": 10.0,
    "box_predictor.cls_score": 30.0,
    "mask_fcn_logits": 3.0,
}

_STAGES = (
    Stage("preprocess", "transform"),
    Stage("backbone", "backbone.body"),
    Stage("FPN", "backbone"),
    Stage("RPN head", "rpn.head"),
    Stage("proposals", "rpn"),
    Stage("box RoI features", "roi_heads.box_roi_pool"),
    Stage("box head", "roi_heads.box_head"),
    Stage("box head", "roi_heads.box_predictor"),
    Stage("box post-processing", "roi_heads", "postprocess_detections"),
    Stage("mask RoI features", "roi_heads.mask_roi_pool"),
    Stage("mask head", "roi_heads.mask_head"),
    Stage("mask head", "roi_heads.mask_predictor"),
    Stage("paste", "transform", "postprocess"),
)


def require_compiled_operators() -> None:
    """Without them torchvision is far slower than what people use."""
    if not torchvision.extension._has_ops():
        raise RuntimeError("this torchvision lacks its compiled operators; install it together with its own torch")


class Theirs(Engine):
    """torchvision's Mask R-CNN."""

    def make_weights(self, scenario: Mapping[str, Any], path: str) -> None:
        """A random model, for both sides."""
        torch.manual_seed(0)
        network = _build(Scenario.from_json(scenario))
        spread(network, _FACTORS)
        torch.save(network.state_dict(), path)

    def answer(self, path: str) -> None:
        if self.scenario.kind == "train":
            torch.save({"losses": self._train()}, path)
            return
        found = [
            {
                "boxes": result["boxes"].cpu(),
                "scores": result["scores"].cpu(),
                "labels": result["labels"].cpu() - 1,
                "masks": pack_masks(result["masks"][:MASKS_COMPARED, 0].cpu() > 0.5),
            }
            for batch in self._batches()
            for result in self._predict(batch)
        ]
        torch.save({"images": found}, path)

    def stages(self) -> dict[str, float]:
        meter = StageMeter(stopwatch(self.device))
        with metered(self._network, _STAGES, meter), meter.stage(REST):
            self._step()
        return meter.amounts

    def _load(self, weights: str, inputs: Mapping[str, Any]) -> None:
        self._images = inputs["images"]
        network = _build(self.scenario)
        network.load_state_dict(torch.load(weights, weights_only=True))
        network.roi_heads.score_thresh = self.threshold
        if self.channels_last:
            network.to(memory_format=torch.channels_last)
        self._network = network.to(self.device).eval()
        if self.scenario.kind == "train":
            self._network.train()
            self._targets = [{**objects, "labels": objects["labels"] + 1} for objects in inputs["targets"]]
            trained = [p for p in self._network.parameters() if p.requires_grad]
            self._optimizer = torch.optim.SGD(trained, lr=LEARNING_RATE, momentum=0.9, weight_decay=1e-4)

    def _step(self) -> None:
        if self.scenario.kind == "train":
            self._train()
            return
        if self._files:
            size = self.scenario.batch_size
            for start in range(0, len(self._files), size):
                images = [_read(file) for file in self._files[start : start + size]]
                for result in self._predict(images):
                    _ = result["masks"] > 0.5
            return
        for batch in self._batches():
            self._predict(batch)

    @torch.inference_mode()
    def _predict(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        results: list[dict[str, Tensor]] = self._network([image.to(self.device).float() / 255 for image in images])
        return results

    def _train(self) -> dict[str, float]:
        images = [image.to(self.device).float() / 255 for image in self._images]
        targets = [{name: value.to(self.device) for name, value in target.items()} for target in self._targets]
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._network(images, targets)
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        self._optimizer.step()
        return {"total": float(total.detach())}

    def _batches(self) -> list[list[Tensor]]:
        size = self.scenario.batch_size
        return [self._images[i : i + size] for i in range(0, len(self._images), size)]

    def _versions(self) -> dict[str, str]:
        return {"torchvision": torchvision.__version__}


def _read(file: str) -> Tensor:
    """As its documentation reads pictures."""
    image: Tensor = torchvision.io.decode_image(file, mode=torchvision.io.ImageReadMode.RGB)
    return image


def _build(plan: Scenario) -> MaskRCNN:
    backbone = resnet_fpn_backbone(
        backbone_name=plan.backbone, weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=TRAINED_LAYERS
    )
    return MaskRCNN(
        backbone,
        num_classes=plan.classes + 1,
        min_size=plan.short_side,
        max_size=plan.long_side,
        rpn_pre_nms_top_n_test=max(1000, plan.proposals),
        rpn_post_nms_top_n_test=plan.proposals,
        box_detections_per_img=plan.detections,
    )
