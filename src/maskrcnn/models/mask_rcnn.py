"""Mask R-CNN (He et al. 2017): for every object in an image a class, a box and a mask, and keypoints if wanted.

The one file to read. Two stages (section 3): the region proposal network says where objects may be; then, for each
region, class, box and mask are predicted in parallel from features that RoIAlign cuts out without rounding.

The paper's ancestors are this model with parts left out: without the mask branch it is Faster R-CNN, without the RPN
too Fast R-CNN (proposals come from outside), with the whole network moved behind RoIAlign R-CNN, and without heads the
RPN alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from maskrcnn.errors import UserError
from maskrcnn.models.box_head import BoxHead
from maskrcnn.models.chunks import Chunk, chunks_of
from maskrcnn.models.keypoint_head import KeypointHead
from maskrcnn.models.mask_head import MaskHead
from maskrcnn.models.preprocess import Preprocess
from maskrcnn.models.rpn import RPN, RPNOutput
from maskrcnn.models.sampling import RoISampler, SampledRoIs, rows_of
from maskrcnn.structures import Detections, ImageBatch, Proposals, Targets

Result = TypeVar("Result")


@dataclass(frozen=True)
class Losses:
    """The parts of the loss, scalars; None for parts that the model does not have."""

    objectness: Tensor | None = None
    rpn_box: Tensor | None = None
    classification: Tensor | None = None
    box: Tensor | None = None
    mask: Tensor | None = None
    keypoint: Tensor | None = None

    def items(self) -> dict[str, Tensor]:
        """The parts that exist, by name."""
        return {name: part for name, part in vars(self).items() if part is not None}

    def total(self) -> Tensor:
        """L = L_cls + L_box + L_mask (section 3), and the RPN's two, and the keypoint branch's (section 5)."""
        return torch.stack(list(self.items().values())).sum()


class MaskRCNN(nn.Module):
    """The model, put together from ready parts; `build.py` makes them from a `Config`.

    Images are (3, h, w) RGB tensors, float in [0, 1] or uint8. Both verbs do the same in train and eval mode (but
    for batch statistics).

    Args:
        preprocess: resizes, normalises and pads images.
        backbone: pixels (N, 3, H, W) -> feature maps, finest first.
        rpn: feature maps -> proposals; None: they are given from outside.
        roi_sampler: chooses the RoIs that the heads train on.
        box_head: the class and box branch; None: the proposals are the result.
        mask_head: the mask branch, or None.
        keypoint_head: the keypoint branch, or None.
        roi_layers: what all heads share behind RoIAlign: stage 5 in C4 (figure 4, left), nothing with FPN (right).
    """

    def __init__(
        self,
        preprocess: Preprocess,
        backbone: nn.Module,
        rpn: RPN | None,
        roi_sampler: RoISampler,
        box_head: BoxHead | None,
        mask_head: MaskHead | None = None,
        keypoint_head: KeypointHead | None = None,
        roi_layers: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.backbone = backbone
        self.rpn = rpn
        self.roi_sampler = roi_sampler
        self.roi_layers = nn.Identity() if roi_layers is None else roi_layers
        self.box_head = box_head
        self.mask_head = mask_head
        self.keypoint_head = keypoint_head

    def loss(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets],
        *,
        proposals: Sequence[Tensor] | None = None,
        generators: Sequence[torch.Generator] | None = None,
    ) -> Losses:
        """The losses of a batch; images, targets and proposals are in the `input` frame already.

        Args:
            images: (3, h, w) each.
            targets: one per image; none, or none in any image, is normal.
            proposals: boxes (P, 4) of each image, for a model without RPN.
            generators: one per image, which its anchors and RoIs are drawn with, so that no image's draw depends on
                another's; None: torch's global one.
        """
        self._check_proposals(proposals, len(images))
        draws: Sequence[torch.Generator | None] = [None] * len(images) if generators is None else generators
        batch = self.preprocess.batch(images)
        targets = [target.to(batch.pixels.device) for target in targets]
        features: Sequence[Tensor] = self.backbone(batch.pixels)
        losses = Losses()

        if self.rpn is None:
            regions = _as_proposals(proposals, batch)
        else:
            rpn_output: RPNOutput = self.rpn(features, batch.pixels.shape[-2:])
            objectness, rpn_box = self.rpn.loss(rpn_output, targets, draws)
            losses = replace(losses, objectness=objectness, rpn_box=rpn_box)
            regions = [p.without_padding() for p in self.rpn.select(rpn_output, batch, self.rpn.train_limits)]
        if self.box_head is None:
            return losses

        rois = self.roi_sampler(regions, targets, draws)
        class_logits, deltas, shared = self._box_outputs(self.box_head, features, rois)
        classification, box = self.box_head.loss(class_logits, deltas, rois)
        losses = replace(losses, classification=classification, box=box)
        if self.mask_head is not None:
            positive = [slice(r.num_positives) for r in rois]
            roi_features = self._branch_features(self.mask_head, features, rois, positive, shared)
            losses = replace(losses, mask=self.mask_head.loss(roi_features, rois, targets))
        if self.keypoint_head is not None:
            visible = self.keypoint_head.select(rois, targets)
            roi_features = self._branch_features(self.keypoint_head, features, rois, visible, shared)
            chosen = [r.take(rows) for r, rows in zip(rois, visible, strict=True)]
            losses = replace(losses, keypoint=self.keypoint_head.loss(roi_features, chosen, targets))
        return losses

    @torch.no_grad()
    def predict(
        self,
        images: Sequence[Tensor],
        *,
        proposals: Sequence[Tensor] | None = None,
        score_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> list[Detections]:
        """The objects of each image, in its `original` frame.

        The mask and keypoint branches run on the boxes that survived NMS alone (section 3.1, "Inference").

        Args:
            images: (3, h, w) each, as they came from the camera.
            proposals: boxes (P, 4) in the `original` frame of each image, for a model without RPN.
            score_threshold: instead of the box head's own.
            max_detections: per image, instead of the box head's own.
        """
        self._check_proposals(proposals, len(images))
        batch = self.preprocess.prepare(images)
        features: Sequence[Tensor] = self.backbone(batch.pixels)
        if self.rpn is None:
            regions = _as_proposals(self.preprocess.to_input(proposals or [], batch), batch)
        else:
            regions = self.rpn.select(self.rpn(features, batch.pixels.shape[-2:]), batch, self.rpn.test_limits)
        if self.box_head is None:
            found = [p.without_padding().as_detections(size) for p, size in zip(regions, batch.sizes, strict=True)]
            found = [d[d.scores > (score_threshold or 0.0)][:max_detections] for d in found]
            return self.preprocess.to_original(found, batch)

        detections = self.box_head.select(
            *self._classify(self.box_head, features, regions),
            regions,
            batch,
            score_threshold=score_threshold,
            max_detections=max_detections,
        )
        if self.mask_head is not None:
            masks = self._masks(self.mask_head, features, detections)
            detections = [replace(d, mask_probs=m) for d, m in zip(detections, masks, strict=True)]
        if self.keypoint_head is not None:
            keypoints = self._keypoints(self.keypoint_head, features, detections)
            detections = [replace(d, keypoints=k) for d, k in zip(detections, keypoints, strict=True)]
        restored = self.preprocess.to_original(detections, batch)
        return restored if self.keypoint_head is None else [self.keypoint_head.shifted(d) for d in restored]

    def forward(self, images: Sequence[Tensor], targets: Sequence[Targets] | None = None) -> Losses | list[Detections]:
        """`loss` with targets, `predict` without: for wrappers that know only `forward`."""
        return self.predict(images) if targets is None else self.loss(images, targets)

    def _check_proposals(self, proposals: Sequence[Tensor] | None, num_images: int) -> None:
        """They come from the RPN, or else from outside for every image."""
        if self.rpn is not None and proposals is not None:
            raise UserError("proposals: expected none, since this model has an RPN and makes its own")
        if self.rpn is None and (proposals is None or len(proposals) != num_images):
            got = "none" if proposals is None else f"those of {len(proposals)}"
            raise UserError(
                f"proposals: expected boxes for each of {num_images} image(s), got {got}; this model has no RPN"
            )

    def _roi_features(
        self, head: BoxHead | MaskHead | KeypointHead, features: Sequence[Tensor], boxes: Sequence[Tensor]
    ) -> Tensor:
        """(R, C, S, S): RoIAlign, then the layers that the heads share."""
        roi_features: Tensor = self.roi_layers(head.pooler(features, boxes))
        return roi_features

    def _box_outputs(
        self, head: BoxHead, features: Sequence[Tensor], rois: Sequence[SampledRoIs]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Class logits, deltas, and the RoI features if another branch reads the same; else they are let go."""
        roi_features = self._roi_features(head, features, [r.boxes for r in rois])
        others = [branch for branch in (self.mask_head, self.keypoint_head) if branch is not None]
        is_shared = any(branch.pooler.cuts_like(head.pooler) for branch in others)
        return *head(roi_features), roi_features if is_shared else None

    def _branch_features(
        self,
        head: MaskHead | KeypointHead,
        features: Sequence[Tensor],
        rois: Sequence[SampledRoIs],
        rows: Sequence[Tensor | slice],
        shared: Tensor | None,
    ) -> Tensor:
        """RoI features of some rows of each image's RoIs; C4: stage 5 has run on them already, for the box branch."""
        assert self.box_head is not None
        if shared is not None and head.pooler.cuts_like(self.box_head.pooler):
            return rows_of(shared, rois, rows)
        return self._roi_features(head, features, [r.boxes[own] for r, own in zip(rois, rows, strict=True)])

    def _classify(
        self, head: BoxHead, features: Sequence[Tensor], regions: Sequence[Proposals]
    ) -> tuple[Tensor, Tensor]:
        """Class logits and deltas of all proposals, image after image."""
        boxes = [proposals.boxes for proposals in regions]
        outputs = self._in_chunks(head, features, boxes, lambda roi_features, _: head(roi_features))
        class_logits, deltas = (torch.cat(parts) for parts in zip(*outputs, strict=True))
        return class_logits, deltas

    def _masks(self, head: MaskHead, features: Sequence[Tensor], detections: Sequence[Detections]) -> list[Tensor]:
        """Mask probabilities (D, m, m) of each image's detections, boxes in the `input` frame."""
        boxes, labels = [found.boxes for found in detections], torch.cat([found.labels for found in detections])
        logits = self._in_chunks(
            head, features, boxes, lambda roi_features, chunk: head(roi_features, labels[chunk.rows])
        )
        return list(torch.cat(logits).float().sigmoid().split([own.shape[0] for own in boxes]))

    def _keypoints(
        self, head: KeypointHead, features: Sequence[Tensor], detections: Sequence[Detections]
    ) -> list[Tensor]:
        """Keypoints (D, P, 3) of each image's detections, boxes and points in the `input` frame."""
        boxes = [found.boxes for found in detections]
        keypoints = self._in_chunks(
            head,
            features,
            boxes,
            lambda roi_features, chunk: head.decode(head(roi_features), torch.cat(list(chunk.boxes))),
        )
        return list(torch.cat(keypoints).split([own.shape[0] for own in boxes]))

    def _in_chunks(
        self,
        head: BoxHead | MaskHead | KeypointHead,
        features: Sequence[Tensor],
        boxes: Sequence[Tensor],
        work: Callable[[Tensor, Chunk], Result],
    ) -> list[Result]:
        """What a head's `work` makes of the RoI features of all boxes, a bounded number of boxes at a time."""
        chunks = chunks_of(features, boxes, head.pooler.options.output_size)
        return [work(self._roi_features(head, chunk.features, chunk.boxes), chunk) for chunk in chunks]


def _as_proposals(boxes: Sequence[Tensor] | None, batch: ImageBatch) -> list[Proposals]:
    """Boxes (P, 4) of each image in the `input` frame, without scores."""
    on_device = [b.to(batch.pixels.device, torch.float32).reshape(-1, 4) for b in boxes or []]
    return [Proposals(b, b.new_zeros(b.shape[0])) for b in on_device]
