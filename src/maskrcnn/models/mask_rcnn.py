"""Mask R-CNN (He et al. 2017): for every object in an image a class, a box and a mask.

The one file to read. Two stages (section 3): the region proposal network says where objects may be; then, for each
region, class, box and mask are predicted in parallel from features that RoIAlign cuts out without rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from maskrcnn.models.box_head import BoxHead
from maskrcnn.models.mask_head import MaskHead
from maskrcnn.models.preprocess import Preprocess
from maskrcnn.models.rpn import RPN
from maskrcnn.models.sampling import RoISampler
from maskrcnn.structures import Detections, Targets


@dataclass(frozen=True)
class Losses:
    """The parts of the loss, scalars; `mask` is None for a model without mask branch."""

    objectness: Tensor
    rpn_box: Tensor
    classification: Tensor
    box: Tensor
    mask: Tensor | None = None

    def items(self) -> dict[str, Tensor]:
        """The parts that exist, by name."""
        return {name: part for name, part in vars(self).items() if part is not None}

    def total(self) -> Tensor:
        """L = L_cls + L_box + L_mask (section 3), and the RPN's two."""
        return torch.stack(list(self.items().values())).sum()


class MaskRCNN(nn.Module):
    """The model, put together from ready parts; `build.py` makes them from a `Config`.

    Images are (3, h, w) RGB tensors, float in [0, 1] or uint8. Both verbs do the same in train and eval mode (but
    for batch statistics).

    Args:
        preprocess: resizes, normalises and pads images.
        backbone: pixels (N, 3, H, W) -> pyramid P2..P6.
        rpn: pyramid -> proposals.
        roi_sampler: chooses the RoIs that the heads train on.
        box_head: the class and box branch.
        mask_head: the mask branch; None makes this Faster R-CNN.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        backbone: nn.Module,
        rpn: RPN,
        roi_sampler: RoISampler,
        box_head: BoxHead,
        mask_head: MaskHead | None = None,
    ) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.backbone = backbone
        self.rpn = rpn
        self.roi_sampler = roi_sampler
        self.box_head = box_head
        self.mask_head = mask_head

    def loss(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets],
        *,
        generator: torch.Generator | None = None,
    ) -> Losses:
        """The losses of a batch; images and targets are in the `input` frame already.

        Args:
            images: (3, h, w) each.
            targets: one per image; none, or none in any image, is normal.
            generator: the source of randomness for sampling anchors and RoIs.
        """
        batch = self.preprocess.batch(images)
        targets = [target.to(batch.pixels.device) for target in targets]
        features = self.backbone(batch.pixels)

        rpn_output = self.rpn(features)
        objectness, rpn_box = self.rpn.loss(rpn_output, targets, generator)
        proposals = self.rpn.select(rpn_output, batch, self.rpn.train_limits)

        rois = self.roi_sampler(proposals, targets, generator)
        class_logits, deltas = self.box_head(features, [r.boxes for r in rois])
        classification, box = self.box_head.loss(class_logits, deltas, rois)
        mask = None if self.mask_head is None else self.mask_head.loss(features, rois, targets)
        return Losses(objectness, rpn_box, classification, box, mask)

    @torch.no_grad()
    def predict(
        self,
        images: Sequence[Tensor],
        *,
        score_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> list[Detections]:
        """The objects of each image, in its `original` frame.

        The mask branch runs on the boxes that survived NMS alone (section 3.1, "Inference").

        Args:
            images: (3, h, w) each, as they came from the camera.
            score_threshold: instead of the box head's own.
            max_detections: per image, instead of the box head's own.
        """
        batch = self.preprocess.prepare(images)
        features = self.backbone(batch.pixels)
        proposals = self.rpn.select(self.rpn(features), batch, self.rpn.test_limits)
        class_logits, deltas = self.box_head(features, [p.boxes for p in proposals])
        detections = self.box_head.select(
            class_logits,
            deltas,
            proposals,
            batch,
            score_threshold=score_threshold,
            max_detections=max_detections,
        )
        if self.mask_head is not None:
            masks = self.mask_head.predict(features, detections)
            detections = [replace(d, mask_probs=m) for d, m in zip(detections, masks, strict=True)]
        return self.preprocess.to_original(detections, batch)

    def forward(self, images: Sequence[Tensor], targets: Sequence[Targets] | None = None) -> Losses | list[Detections]:
        """`loss` with targets, `predict` without: for wrappers that know only `forward`."""
        return self.predict(images) if targets is None else self.loss(images, targets)
