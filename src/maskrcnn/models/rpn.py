"""Region proposal network (Ren et al. 2015): where may there be an object, of whatever class?

Shapes: N images, L levels, A anchors per cell, B anchors of all levels together, P proposals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.models.anchors import Anchors
from maskrcnn.models.losses import Losses
from maskrcnn.models.matching import match, sample
from maskrcnn.ops.boxes import clip_boxes, decode_boxes, encode_boxes, is_larger_than
from maskrcnn.ops.counts import divisor
from maskrcnn.ops.fixed_sizes import has_fixed_sizes
from maskrcnn.ops.losses import objectness_loss, smooth_l1
from maskrcnn.ops.nms import ABSENT, nms_padded
from maskrcnn.structures import ImageBatch, Proposals, Size, Targets


class RPNHead(nn.Module):
    """3x3 convolutions, then 1x1 for A objectness logits and 4A box deltas, shared by all levels."""

    def __init__(self, channels: int, num_anchors: int, num_convs: int = 1) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(num_convs))
        self.objectness = nn.Conv2d(channels, num_anchors, 1)
        self.deltas = nn.Conv2d(channels, 4 * num_anchors, 1)
        for layer in (*self.convs, self.objectness, self.deltas):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Per level (N, h w A) objectness logits and (N, h w A, 4) deltas, in the anchors' order."""
        logits, deltas = [], []
        for x in features:
            for conv in self.convs:
                x = F.relu(conv(x), inplace=True)
            logits.append(self.objectness(x).permute(0, 2, 3, 1).flatten(1))
            deltas.append(self.deltas(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, 4))
        return logits, deltas


@dataclass(frozen=True)
class ProposalLimits:
    """How many boxes survive each step of the selection."""

    pre_nms_top_k: int
    """Per level."""
    post_nms_top_k: int
    """Per image."""


@dataclass(frozen=True)
class RPNOutput:
    """Raw outputs and their anchors, level by level: logits (N, B_l), deltas (N, B_l, 4), anchors (B_l, 4)."""

    objectness_logits: list[Tensor]
    deltas: list[Tensor]
    anchors: list[Tensor]


@dataclass(frozen=True)
class DrawnAnchors:
    """S anchors of all images that a loss is computed on; the first `len(deltas)` are positive, the rest negative.

    Attributes:
        images: (S,) int64, the image of each.
        indices: (S,) int64, which of the image's B anchors it is.
        deltas: (number of positives, 4) from each positive to its object.
    """

    images: Tensor
    indices: Tensor
    deltas: Tensor


class RPN(nn.Module):
    """Scores anchors, and turns the best into proposals.

    Args:
        head: gives logits and deltas per level.
        anchors: gives the reference boxes per level.
        train_limits: for `select` while training the second stage.
        test_limits: the same for prediction.
        nms_threshold: IoU above which the worse of two proposals of a level is dropped.
        min_size: shortest side of a proposal, `input` pixels.
        positive_iou: anchors with at least this IoU are positive.
        negative_iou: anchors with less than this are negative.
        samples_per_image: anchors per image in the loss.
        positive_fraction: largest share of positives among them.
        smooth_l1_beta: of the box loss.
        crowd_overlap: anchors with more of their area in a crowd region are never negatives.
        score_threshold: least objectness probability of a proposal.
        divide_by_sampled: the losses' divisor is the number of anchors drawn, not `samples_per_image` x images.
        objectness_weight: factor of the loss of objectness.
        box_weight: factor of the loss of boxes.
    """

    def __init__(
        self,
        head: RPNHead,
        anchors: Anchors,
        *,
        train_limits: ProposalLimits,
        test_limits: ProposalLimits,
        nms_threshold: float = 0.7,
        min_size: float = 1e-3,
        positive_iou: float = 0.7,
        negative_iou: float = 0.3,
        samples_per_image: int = 256,
        positive_fraction: float = 0.5,
        smooth_l1_beta: float = 1 / 9,
        crowd_overlap: float = 0.7,
        score_threshold: float = 0.0,
        divide_by_sampled: bool = True,
        objectness_weight: float = 1.0,
        box_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.head = head
        self.anchors = anchors
        self.train_limits = train_limits
        self.test_limits = test_limits
        self.nms_threshold = nms_threshold
        self.min_size = min_size
        self.positive_iou = positive_iou
        self.negative_iou = negative_iou
        self.samples_per_image = samples_per_image
        self.positive_fraction = positive_fraction
        self.smooth_l1_beta = smooth_l1_beta
        self.crowd_overlap = crowd_overlap
        self.score_threshold = score_threshold
        self.divide_by_sampled = divide_by_sampled
        self.objectness_weight = objectness_weight
        self.box_weight = box_weight

    def forward(self, features: Sequence[Tensor], image_size: Size) -> RPNOutput:
        """Objectness and deltas of every anchor; `image_size` is the padded (height, width) of the batch."""
        logits, deltas = self.head(features)
        return RPNOutput(logits, deltas, self.anchors(features, image_size))

    @torch.no_grad()
    def select(self, output: RPNOutput, batch: ImageBatch, limits: ProposalLimits) -> list[Proposals]:
        """The best boxes of each image: top-k per level, clipped, NMS per level, then the best of all levels."""
        starts = accumulate((own.shape[0] for own in output.anchors[:-1]), initial=0)
        best = [
            _best_of_level(*level, limits.pre_nms_top_k)
            for level in zip(output.objectness_logits, output.deltas, output.anchors, starts, strict=True)
        ]
        boxes, logits, anchors = (torch.cat(parts, dim=1) for parts in zip(*best, strict=True))
        levels = torch.cat([torch.full_like(own, i) for i, (_, _, own) in enumerate(best)], dim=1)
        boxes = torch.stack([clip_boxes(own, size) for own, size in zip(boxes, batch.sizes, strict=True)])
        usable = is_larger_than(boxes, self.min_size) & logits.isfinite()
        if self.score_threshold > 0:
            usable &= logits.sigmoid() >= self.score_threshold
        levels = levels.masked_fill(~usable, ABSENT)
        kept, counts = nms_padded(boxes, logits, levels, self.nms_threshold, limits.post_nms_top_k)
        absent = torch.arange(kept.shape[1], device=kept.device) >= counts[:, None]
        boxes = boxes.gather(1, kept[..., None].expand(-1, -1, 4)).masked_fill(absent[..., None], 0)
        logits = logits.gather(1, kept).masked_fill(absent, -math.inf)
        proposals = [Proposals(*image) for image in zip(boxes, logits, anchors.gather(1, kept), strict=True)]
        return proposals if has_fixed_sizes(boxes) else [p.without_padding() for p in proposals]

    def loss(
        self, output: RPNOutput, targets: Sequence[Targets], generators: Sequence[torch.Generator | None]
    ) -> Losses:
        """Objectness and box loss over the sampled anchors, both divided by one number (Faster R-CNN, eq. 1).

        Each image's anchors are drawn with its own generator.
        """
        drawn = self.draw(output, targets, generators)
        logits, deltas = torch.cat(output.objectness_logits, dim=1), torch.cat(output.deltas, dim=1)
        own = drawn.images, drawn.indices
        return self.loss_of(drawn, logits[own], deltas[own], len(targets))

    def draw(
        self, output: RPNOutput, targets: Sequence[Targets], generators: Sequence[torch.Generator | None]
    ) -> DrawnAnchors:
        """The anchors of each image that the loss is computed on (Faster R-CNN section 3.1.3)."""
        anchors = torch.cat(output.anchors)
        positives, negatives, deltas = [], [], []
        for target, generator in zip(targets, generators, strict=True):
            matches = match(
                anchors,
                target,
                positive_iou=self.positive_iou,
                negative_iou=self.negative_iou,
                keep_best=True,
                crowd_overlap=self.crowd_overlap,
            )
            positive, negative = sample(matches.kinds, self.samples_per_image, self.positive_fraction, generator)
            positives.append(positive)
            negatives.append(negative)
            deltas.append(encode_boxes(target.boxes[matches.indices[positive]], anchors[positive]))
        images = [torch.full_like(own, i) for group in (positives, negatives) for i, own in enumerate(group)]
        return DrawnAnchors(torch.cat(images), torch.cat(positives + negatives), torch.cat(deltas))

    def loss_of(self, drawn: DrawnAnchors, logits: Tensor, deltas: Tensor, num_images: int) -> Losses:
        """`loss` from the logits (S,) and deltas (S, 4) of the drawn anchors."""
        num_drawn, num_positives = logits.shape[0], drawn.deltas.shape[0]
        is_object = torch.arange(num_drawn, device=logits.device) < num_positives
        differences = deltas[:num_positives] - drawn.deltas
        number = divisor(num_drawn if self.divide_by_sampled else self.samples_per_image * num_images)
        objectness = objectness_loss(logits.float(), is_object) / number
        box = smooth_l1(differences.float(), self.smooth_l1_beta) / number
        return Losses(objectness=self.objectness_weight * objectness, rpn_box=self.box_weight * box)


def _best_of_level(
    logits: Tensor, deltas: Tensor, anchors: Tensor, start: int, top_k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The best of logits (N, B), deltas (N, B, 4) and anchors (B, 4), of which `start` lie in the levels before.

    Returns:
        Boxes (N, k, 4), logits (N, k), and of each the number of its anchor among those of all levels (N, k).
    """
    best, index = logits.float().topk(min(top_k, anchors.shape[0]))
    chosen = deltas.gather(1, index[..., None].expand(-1, -1, 4)).float()
    return decode_boxes(chosen, anchors[index]), best, index + start
