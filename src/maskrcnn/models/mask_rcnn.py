"""Mask R-CNN (He et al. 2017): for every object in an image a class, a box and a mask, and keypoints if wanted.

The one file to read. Two stages (section 3): the region proposal network says where objects may be; then, for each
region, class, box and mask are predicted in parallel from features that RoIAlign cuts out without rounding.

The paper's ancestors are this model with parts left out: without the mask branch it is Faster R-CNN, without the RPN
too Fast R-CNN (proposals come from outside), with the whole network moved behind RoIAlign R-CNN, and without heads the
RPN alone. With neither RPN nor box head, and with a branch for every pixel, it is FCN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from maskrcnn.errors import UserError
from maskrcnn.models.box_head import BoxHead
from maskrcnn.models.branches import DenseBranch, RoIBranch
from maskrcnn.models.losses import Losses
from maskrcnn.models.preprocess import Preprocess
from maskrcnn.models.roi_features import RoIFeatures
from maskrcnn.models.rpn import RPN, RPNOutput
from maskrcnn.structures import Detections, ImageBatch, Proposals, Size, Targets


class MaskRCNN(nn.Module):
    """The model, put together from ready parts; `build/` makes them from a `Config`.

    Images are (C, h, w) tensors, RGB as a rule, float in [0, 1] or uint8. Both verbs do the same in train and eval mode
    (but for batch statistics).

    Args:
        preprocess: resizes, normalises and pads images.
        backbone: pixels (N, C, H, W) -> feature maps, finest first.
        rpn: feature maps -> proposals; None: they are given from outside.
        box_head: regions -> classes and boxes; None: the proposals are the result.
        roi_branches: what else is predicted for each region, such as its mask, by names that no part has yet.
        dense_branches: what is predicted for every pixel, by such names.
        roi_layers: what all heads share behind RoIAlign: stage 5 in C4 (figure 4, left), nothing with FPN (right).
    """

    def __init__(
        self,
        preprocess: Preprocess,
        backbone: nn.Module,
        rpn: RPN | None,
        box_head: BoxHead | None,
        roi_branches: Mapping[str, RoIBranch] | None = None,
        dense_branches: Mapping[str, DenseBranch] | None = None,
        roi_layers: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.backbone = backbone
        self.rpn = rpn
        self.roi_layers = nn.Identity() if roi_layers is None else roi_layers
        self.box_head = box_head
        self._roi_branches, self._dense_branches = tuple(roi_branches or ()), tuple(dense_branches or ())
        for name, branch in {**(roi_branches or {}), **(dense_branches or {})}.items():
            self.add_module(name, branch)  # each under its own name, with which those of its weights begin

    @property
    def roi_branches(self) -> dict[str, RoIBranch]:
        """The branches for regions, by name."""
        return {name: cast(RoIBranch, self.get_submodule(name)) for name in self._roi_branches}

    @property
    def dense_branches(self) -> dict[str, DenseBranch]:
        """The branches for every pixel, by name."""
        return {name: cast(DenseBranch, self.get_submodule(name)) for name in self._dense_branches}

    def loss(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets],
        *,
        proposals: Sequence[Tensor] | None = None,
        generators: Sequence[torch.Generator] | None = None,
        padded: Size | None = None,
    ) -> Losses:
        """The losses of a batch; images, targets and proposals are in the `input` frame already.

        Args:
            images: (C, h, w) each.
            targets: one per image; none, or none in any image, is normal.
            proposals: boxes (P, 4) of each image, for a model without RPN.
            generators: one per image, which its anchors and RoIs are drawn with, so that no image's draw depends on
                another's; None: torch's global one.
            padded: (height, width) of the batch, where others must have the same; None: see `Preprocess.batch`.
        """
        self._check_proposals(proposals, len(images))
        draws: Sequence[torch.Generator | None] = [None] * len(images) if generators is None else generators
        batch = self.preprocess.batch(images, padded=padded)
        targets = [target.to(batch.pixels.device) for target in targets]
        features: Sequence[Tensor] = self.backbone(batch.pixels)
        losses = Losses()

        if self.rpn is None:
            regions = _as_proposals(proposals, batch)
        else:
            rpn_output: RPNOutput = self.rpn(features, batch.pixels.shape[-2:])
            losses |= self.rpn.loss(rpn_output, targets, draws)
            regions = [p.without_padding() for p in self.rpn.select(rpn_output, batch, self.rpn.train_limits)]
        if self.box_head is not None:
            roi_features = self.roi_features(features)
            box_losses, rois = self.box_head.loss(roi_features, regions, targets, draws)
            losses |= box_losses
            for branch in self.roi_branches.values():
                losses |= branch.loss(roi_features, rois, targets)
        for dense in self.dense_branches.values():
            losses |= dense.loss(features, batch, targets)
        return losses

    @torch.no_grad()
    def predict(
        self,
        images: Sequence[Tensor],
        *,
        proposals: Sequence[Tensor] | None = None,
        score_threshold: float | None = None,
        max_detections: int | None = None,
        padded: Size | None = None,
    ) -> list[Detections]:
        """The objects of each image, in its `original` frame.

        The mask and keypoint branches run on the boxes that survived NMS alone (section 3.1, "Inference").

        Args:
            images: (C, h, w) each, as they came from the camera.
            proposals: boxes (P, 4) in the `original` frame of each image, for a model without RPN.
            score_threshold: instead of the box head's own.
            max_detections: per image, instead of the box head's own.
            padded: as in `loss`.
        """
        self._check_proposals(proposals, len(images))
        batch = self.preprocess.prepare(images, padded=padded)
        features: Sequence[Tensor] = self.backbone(batch.pixels)
        if self.rpn is None:
            given = None if proposals is None else self.preprocess.to_input(proposals, batch)
            regions = _as_proposals(given, batch)
        else:
            regions = self.rpn.select(self.rpn(features, batch.pixels.shape[-2:]), batch, self.rpn.test_limits)
        if self.box_head is None:
            detections = _as_detections(regions, batch, score_threshold or 0.0, max_detections)
        else:
            roi_features = self.roi_features(features)
            detections = self.box_head.predict(roi_features, regions, batch, score_threshold, max_detections)
            for branch in self.roi_branches.values():
                detections = branch.predict(roi_features, detections)
        for dense in self.dense_branches.values():
            detections = dense.predict(features, batch, detections)
        detections = self.preprocess.to_original(detections, batch)
        for branch in self.roi_branches.values():
            detections = [branch.finish(found) for found in detections]
        return detections

    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets] | None = None,
        proposals: Sequence[Tensor] | None = None,
        generators: Sequence[torch.Generator] | None = None,
        padded: Size | None = None,
    ) -> Losses | list[Detections]:
        """`loss` with targets, `predict` without: for wrappers that know only `forward`, such as DDP."""
        if targets is None:
            return self.predict(images, proposals=proposals, padded=padded)
        return self.loss(images, targets, proposals=proposals, generators=generators, padded=padded)

    def roi_features(self, features: Sequence[Tensor]) -> RoIFeatures:
        """What the branches read regions from, of the maps (N, C, h, w) of a batch, finest first."""
        return RoIFeatures(features, self.roi_layers, [branch.pooler for branch in self.roi_branches.values()])

    def _check_proposals(self, proposals: Sequence[Tensor] | None, num_images: int) -> None:
        """They come from the RPN, or else from outside for every image; without a box head none are needed."""
        if self.rpn is not None and proposals is not None:
            raise UserError("proposals: expected none, since this model has an RPN and makes its own")
        wanted = self.rpn is None and self.box_head is not None
        if wanted and (proposals is None or len(proposals) != num_images):
            got = "none" if proposals is None else f"those of {len(proposals)}"
            raise UserError(
                f"proposals: expected boxes for each of {num_images} image(s), got {got}; this model has no RPN "
                "(a command takes them by --proposals FILE)"
            )


def _as_proposals(boxes: Sequence[Tensor] | None, batch: ImageBatch) -> list[Proposals]:
    """Boxes (P, 4) of each image in the `input` frame, without scores; None: no box in any image."""
    given = [torch.zeros((0, 4))] * len(batch) if boxes is None else boxes
    on_device = [b.to(batch.pixels.device, torch.float32).reshape(-1, 4) for b in given]
    return [Proposals(b, b.new_zeros(b.shape[0])) for b in on_device]


def _as_detections(
    regions: Sequence[Proposals], batch: ImageBatch, score_threshold: float, max_detections: int | None
) -> list[Detections]:
    """The result of an RPN alone: its best proposals."""
    found = [p.without_padding().as_detections(size) for p, size in zip(regions, batch.sizes, strict=True)]
    return [d[d.scores > score_threshold][:max_detections] for d in found]
