"""Sampled RoIs: the proposals the heads train on, each with what it should become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from maskrcnn.models.matching import match, sample
from maskrcnn.structures import Proposals, Targets


@dataclass(frozen=True)
class SampledRoIs:
    """R RoIs of one image, `input` frame: the first `num_positives` are objects, the rest background.

    Attributes:
        boxes: (R, 4).
        labels: (R,) int64 in 0..K; K is background.
        gt_indices: (num_positives,) int64, the object each positive stands for.
        gt_boxes: (num_positives, 4) that object's box.
    """

    boxes: Tensor
    labels: Tensor
    gt_indices: Tensor
    gt_boxes: Tensor

    @property
    def num_positives(self) -> int:
        """How many of the RoIs are objects; they come first."""
        return len(self.gt_indices)

    @property
    def positive_boxes(self) -> Tensor:
        """(num_positives, 4)."""
        return self.boxes[: self.num_positives]

    def take(self, rows: Tensor) -> SampledRoIs:
        """Some of the positives: `rows` (V,) int64, all below `num_positives`."""
        return SampledRoIs(self.boxes[rows], self.labels[rows], self.gt_indices[rows], self.gt_boxes[rows])


class RoISampler(nn.Module):
    """Chooses RoIs for the losses of the second stage (Mask R-CNN section 3.1).

    Args:
        num_classes: K.
        samples_per_image: 64 for C4, 512 for FPN.
        positive_fraction: 0.25, "a ratio of 1:3 of positive to negatives".
        positive_iou: a RoI with at least this IoU to an object is positive.
        crowd_overlap: RoIs with more of their area in a crowd region are never negatives.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        samples_per_image: int = 512,
        positive_fraction: float = 0.25,
        positive_iou: float = 0.5,
        crowd_overlap: float = 0.7,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.samples_per_image = samples_per_image
        self.positive_fraction = positive_fraction
        self.positive_iou = positive_iou
        self.crowd_overlap = crowd_overlap

    @torch.no_grad()
    def forward(
        self,
        proposals: Sequence[Proposals],
        targets: Sequence[Targets],
        generators: Sequence[torch.Generator | None],
    ) -> list[SampledRoIs]:
        """Sample each image's proposals, its ground-truth boxes appended, with its own generator.

        In the order of anchors: by score, two of nearly the same change places where a batch, a rank or a machine
        rounds otherwise, and the same random number draws another one.
        """
        return [
            self._sample_one(torch.cat([p.boxes_by_anchor(), t.boxes]), t, generator)
            for p, t, generator in zip(proposals, targets, generators, strict=True)
        ]

    def _sample_one(self, boxes: Tensor, targets: Targets, generator: torch.Generator | None) -> SampledRoIs:
        matches = match(
            boxes,
            targets,
            positive_iou=self.positive_iou,
            negative_iou=self.positive_iou,
            crowd_overlap=self.crowd_overlap,
        )
        positive, negative = sample(matches.kinds, self.samples_per_image, self.positive_fraction, generator)
        gt_indices = matches.indices[positive]
        background = torch.full_like(negative, self.num_classes)
        return SampledRoIs(
            boxes=boxes[torch.cat([positive, negative])],
            labels=torch.cat([targets.labels[gt_indices], background]),
            gt_indices=gt_indices,
            gt_boxes=targets.boxes[gt_indices],
        )
