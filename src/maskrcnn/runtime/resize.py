"""Bilinear resizing as PyTorch's `interpolate` does it, in NumPy: to the last digits, since scores depend on them.

Each axis by itself: a pixel of the result is a weighted sum of a few neighbours along it.
"""

from __future__ import annotations

import numpy as np

from maskrcnn.structures import Size
from maskrcnn.structures.masks import Float32Array, IntArray


def resize(image: Float32Array, size: Size, antialias: bool) -> Float32Array:
    """An (h, w, C) image at another size (height, width).

    Args:
        image: float32.
        size: of the result.
        antialias: whether the filter grows where the image shrinks, so that every pixel counts.
    """
    for axis in (0, 1) if size[0] < image.shape[0] else (1, 0):  # the order is a question of time alone
        if image.shape[axis] != size[axis]:
            image = _along(image, axis, *_neighbours(image.shape[axis], size[axis], antialias))
    return image


def _along(image: Float32Array, axis: int, first: IntArray, weights: Float32Array) -> Float32Array:
    """The weighted sums along an axis: of pixels `first` (n,) and the following ones, with weights (n, taps)."""
    total: Float32Array | None = None
    for tap in range(weights.shape[1]):
        part = np.take(image, np.minimum(first + tap, image.shape[axis] - 1), axis)
        flat = part.reshape(part.shape[0], -1)  # long rows, which NumPy is fast at
        flat *= weights[:, tap, None] if axis == 0 else weights[:, tap].repeat(image.shape[2])
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return total


def _neighbours(before: int, after: int, antialias: bool) -> tuple[IntArray, Float32Array]:
    """The first neighbour (n,) of each pixel along an axis, and the weights (n, taps) of it and those that follow.

    Places are computed in float32, as PyTorch does.
    """
    scale = np.float32(before) / np.float32(after)
    centres = np.arange(after) + 0.5
    if antialias and scale > 1:
        return _triangles(before, scale, (scale * centres).astype(np.float32))
    # Without the filter, product and difference are rounded once, with it each by itself.
    place = (scale * centres).astype(np.float32) - np.float32(0.5) if antialias else scale * centres - 0.5
    place = np.maximum(place.astype(np.float32), np.float32(0))
    first = np.minimum(place.astype(np.int64), before - 1)
    share = np.minimum(place - first.astype(np.float32), np.float32(1))
    return first, np.stack([1 - share, share], axis=1)


def _triangles(before: int, scale: np.float32, centres: Float32Array) -> tuple[IntArray, Float32Array]:
    """A triangle as wide as two pixels of the result, around each centre; its weights add up to 1."""
    first = np.maximum((centres - scale + np.float32(0.5)).astype(np.int64), 0)
    counts = np.minimum((centres + scale + np.float32(0.5)).astype(np.int64), before) - first
    taps = np.arange(counts.max())
    distances = (taps + first[:, None] - centres[:, None] + np.float32(0.5)).astype(np.float32) / scale
    weights = np.maximum(1 - np.abs(distances), np.float32(0))
    weights[taps >= counts[:, None]] = 0
    return first, weights / weights.sum(axis=1, keepdims=True)
