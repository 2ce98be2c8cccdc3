"""From logits on a coarse grid to the class of every pixel of an image."""

from __future__ import annotations

import torch
from torch import Tensor

from maskrcnn.structures import Size

MOST_VALUES = 1 << 24
"""How many logits of full-size pixels exist at a time: those of a whole photograph with many classes take gigabytes."""


def label_map(logits: Tensor, stride: int, size: Size, original: Size) -> Tensor:
    """The class with the highest logit at each pixel, (H, W) uint8; bilinear between the centres of cells.

    Args:
        logits: (C, h, w), C <= 255, at `stride` in the `input` frame; cells of the padding may follow.
        stride: input pixels per cell.
        size: (height, width) of the image in the `input` frame.
        original: (H, W) of the image in the `original` frame.
    """
    (top, bottom, down), (left, right, across) = (
        _between_cells(logits, original[axis], size[axis] / original[axis] / stride, logits.shape[axis + 1])
        for axis in (0, 1)
    )
    wide = torch.lerp(logits[:, :, left], logits[:, :, right], across)  # (C, h, W)
    rows = max(MOST_VALUES // (logits.shape[0] * original[1]), 1)
    strips = zip(top.split(rows), bottom.split(rows), down[:, None].split(rows), strict=True)
    return torch.cat([torch.lerp(wide[:, a], wide[:, b], part).argmax(0).byte() for a, b, part in strips])


def _between_cells(like: Tensor, pixels: int, scale: float, cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """For the centre of each pixel along an axis: the cells before and behind it, and its place between them."""
    places = ((torch.arange(pixels, device=like.device, dtype=like.dtype) + 0.5) * scale - 0.5).clamp(0, cells - 1)
    before = places.long()
    return before, (before + 1).clamp(max=cells - 1), places - before
