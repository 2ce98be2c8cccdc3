"""From logits on a coarse grid to the class of every pixel, in NumPy: what `ops.label_maps` does in PyTorch."""

from __future__ import annotations

import numpy as np

from maskrcnn.structures import Size
from maskrcnn.structures.masks import ByteArray, Float32Array, IntArray

MOST_VALUES = 1 << 24
"""So many logits of full-size pixels exist at a time."""


def label_map(logits: Float32Array, stride: int, size: Size, original: Size) -> ByteArray:
    """The class with the highest logit at each pixel, (H, W) uint8; bilinear between the centres of cells.

    Args:
        logits: (C, h, w), C <= 255, at `stride` in the `input` frame; cells of the padding may follow.
        stride: input pixels per cell.
        size: (height, width) of the image in the `input` frame.
        original: (H, W) of the image in the `original` frame.
    """
    (top, bottom, down), (left, right, across) = (
        _between_cells(original[axis], size[axis] / original[axis] / stride, logits.shape[axis + 1]) for axis in (0, 1)
    )
    wide = _lerp(logits[:, :, left], logits[:, :, right], across)  # (C, h, W)
    rows = max(MOST_VALUES // (logits.shape[0] * original[1]), 1)
    classes = np.empty(original, np.uint8)
    for start in range(0, original[0], rows):
        own = slice(start, start + rows)
        classes[own] = _lerp(wide[:, top[own]], wide[:, bottom[own]], down[own, None]).argmax(axis=0)
    return classes


def _between_cells(pixels: int, scale: float, cells: int) -> tuple[IntArray, IntArray, Float32Array]:
    """For the centre of each pixel along an axis: the cells before and behind it, and its place between them."""
    centres = np.arange(pixels, dtype=np.float32) + np.float32(0.5)
    places = np.clip(centres * np.float32(scale) - np.float32(0.5), 0, cells - 1)
    before = places.astype(np.int64)
    return before, np.minimum(before + 1, cells - 1), places - before.astype(np.float32)


def _lerp(start: Float32Array, end: Float32Array, share: Float32Array) -> Float32Array:
    return start + share * (end - start)
