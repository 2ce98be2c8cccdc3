"""Matching boxes to ground truth, and sampling them for the losses (Faster R-CNN section 3.1.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maskrcnn.ops.boxes import box_ioa, box_iou
from maskrcnn.structures import Targets

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1

_IOU_ELEMENTS = 1 << 23
"""Largest block of the IoU matrix held at once: 32 MB, whatever the number of anchors and objects."""


@dataclass(frozen=True)
class Match:
    """What each of B boxes is to be.

    Attributes:
        kinds: (B,) POSITIVE, NEGATIVE or IGNORED.
        indices: (B,) int64, the ground truth each box overlaps most; only meaningful for positives.
    """

    kinds: Tensor
    indices: Tensor


def match(
    boxes: Tensor,
    targets: Targets,
    *,
    positive_iou: float,
    negative_iou: float,
    keep_best: bool = False,
    crowd_overlap: float = 1.0,
) -> Match:
    """Match boxes (B, 4) to the objects of one image.

    Args:
        boxes: anchors or proposals, `input` frame.
        targets: the image's objects.
        positive_iou: a box with at least this IoU to an object is positive.
        negative_iou: a box with less than this to every object is negative; in between it is ignored.
        keep_best: the boxes with the highest IoU to an object (ties included) are positive whatever that IoU is,
            so that no object goes without (not so if nothing overlaps it at all).
        crowd_overlap: a negative with more than this share of its area in a crowd region is ignored.
    """
    best_iou = boxes.new_zeros(boxes.shape[0])
    indices = torch.zeros(boxes.shape[0], dtype=torch.int64, device=boxes.device)
    is_best = torch.zeros(boxes.shape[0], dtype=torch.bool, device=boxes.device)
    chunk = max(1, _IOU_ELEMENTS // max(boxes.shape[0], 1))
    for start in range(0, len(targets), chunk):
        iou = box_iou(targets.boxes[start : start + chunk], boxes)  # (chunk, B)
        chunk_best, chunk_indices = iou.max(dim=0)
        better = chunk_best > best_iou
        best_iou = torch.where(better, chunk_best, best_iou)
        indices = torch.where(better, chunk_indices + start, indices)
        if keep_best and boxes.shape[0]:
            highest = iou.amax(dim=1, keepdim=True)
            is_best |= ((iou == highest) & (highest > 0)).any(dim=0)
    kinds = torch.full_like(indices, IGNORED)
    kinds[best_iou < negative_iou] = NEGATIVE
    kinds[(best_iou >= positive_iou) | is_best] = POSITIVE
    if len(targets.crowd_boxes):
        in_crowd = box_ioa(boxes, targets.crowd_boxes).amax(dim=1) > crowd_overlap
        kinds[in_crowd & (kinds == NEGATIVE)] = IGNORED
    return Match(kinds, indices)


def sample(
    kinds: Tensor, count: int, positive_fraction: float, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Indices of at most `count` boxes: up to `positive_fraction` positives, the rest negatives, at random."""
    positives = (kinds == POSITIVE).nonzero()[:, 0]
    negatives = (kinds == NEGATIVE).nonzero()[:, 0]
    num_positives = min(positives.shape[0], int(count * positive_fraction))
    num_negatives = min(negatives.shape[0], count - num_positives)
    return (
        _choose(positives, num_positives, generator),
        _choose(negatives, num_negatives, generator),
    )


def _choose(candidates: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """`count` of the candidates, in ascending order: which ones is random, the order of summation is not."""
    if count == candidates.shape[0]:
        return candidates
    device = candidates.device if generator is None else generator.device
    chosen = torch.randperm(candidates.shape[0], generator=generator, device=device)[:count]
    return candidates[chosen.to(candidates.device).sort().values]
