"""Boxes: areas, overlaps, clipping, and the coding that the box losses work in.

Boxes are (x1, y1, x2, y2) in absolute continuous pixels, so the width is x2 - x1, without "+ 1".
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from maskrcnn.structures import Size

MAX_LOG_SCALE = math.log(1000 / 16)
"""Largest dw, dh before the exponential: a box can grow 62.5-fold at once, so a wild delta cannot overflow."""

BoxWeights = tuple[float, float, float, float]


def box_area(boxes: Tensor) -> Tensor:
    """Areas (B,) of boxes (B, 4), square pixels; a reversed box counts 0."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).unbind(-1)
    return width * height


def box_intersection(a: Tensor, b: Tensor) -> Tensor:
    """Common areas (A, B) of every box of `a` (A, 4) with every box of `b` (B, 4)."""
    # Column by column, so that the inner loop runs over B contiguous numbers.
    ax1, ay1, ax2, ay2 = a.t()[:, :, None]
    bx1, by1, bx2, by2 = b.t().contiguous()[:, None, :]
    width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp_(min=0)
    height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp_(min=0)
    return width.mul_(height)


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union (A, B); two empty boxes have 0."""
    intersection = box_intersection(a, b)
    union = (box_area(a)[:, None] + box_area(b)[None, :]).sub_(intersection)
    return intersection.div_(union).nan_to_num_(nan=0.0)  # 0 / 0: two empty boxes


def box_ioa(a: Tensor, b: Tensor) -> Tensor:
    """The share (A, B) of each box of `a` that lies inside each box of `b`."""
    area = box_area(a)[:, None]
    return torch.where(area > 0, box_intersection(a, b) / area, torch.zeros_like(area))


def clip_boxes(boxes: Tensor, size: Size) -> Tensor:
    """Boxes (..., 4) cut at the edges of an image of `size` (height, width)."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack([x, y], dim=-1).flatten(-2)


def is_larger_than(boxes: Tensor, min_size: float) -> Tensor:
    """(...,) True where both sides of boxes (..., 4) are at least `min_size` pixels and above zero."""
    sides = boxes[..., 2:] - boxes[..., :2]
    return ((sides >= min_size) & (sides > 0)).all(dim=-1)


def _centres_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + 0.5 * sides, sides


def encode_boxes(boxes: Tensor, references: Tensor, weights: BoxWeights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """The deltas (B, 4) that turn `references` (anchors or RoIs) into `boxes`; `decode_boxes` is the inverse.

    tx = (x - xa) / wa, tw = log(w / wa), and likewise y, h, times `weights` (Faster R-CNN, eq. 2).
    """
    centres, sides = _centres_and_sides(boxes)
    reference_centres, reference_sides = _centres_and_sides(references)
    shift = (centres - reference_centres) / reference_sides
    scale = torch.log(sides / reference_sides)
    return torch.cat([shift, scale], dim=-1) * _row(weights, shift.dtype, shift.device)


def decode_boxes(deltas: Tensor, references: Tensor, weights: BoxWeights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Apply deltas (..., 4) to reference boxes (..., 4), broadcasting; dw and dh are cut at `MAX_LOG_SCALE`."""
    deltas = deltas / _row(weights, deltas.dtype, deltas.device)
    reference_centres, reference_sides = _centres_and_sides(references)
    centres = deltas[..., :2] * reference_sides + reference_centres
    half_sides = 0.5 * torch.exp(deltas[..., 2:].clamp(max=MAX_LOG_SCALE)) * reference_sides
    return torch.cat([centres - half_sides, centres + half_sides], dim=-1)


@cache
def _row(weights: BoxWeights, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(4,) on the device, sent there once: for every number that it is sent, a host waits until a GPU is idle."""
    with torch.inference_mode(False):  # so that training can use it as well
        return torch.tensor(weights, dtype=dtype, device=device)
