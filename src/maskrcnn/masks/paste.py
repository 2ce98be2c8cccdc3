"""Paste: from an m x m mask relative to its box to pixels of the image (Mask R-CNN section 3.1, "Inference").

A mask may have more rows than columns, or fewer: each axis is resampled by itself.

Bilinear resampling is separable, so the mask of a box is (row weights) x (m x m probabilities) x (column weights), made
only for the pixels that the box reaches: a window. Two rules say which place of the mask a pixel sees, see `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from maskrcnn.masks.rle import Window
from maskrcnn.masks.rle_crops import encode_rle_crop
from maskrcnn.structures import RLE, MaskCrops, Size
from maskrcnn.structures.masks import BoolArray, ByteArray, Float32Array, FloatArray, IntArray
from maskrcnn.ways import Ways

Rule = Literal["exact", "torchvision"]

_FARTHEST = 1e30
"""Coordinates beyond this count as infinite: sums of them must not overflow."""


# --- the rules along one axis -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grid:
    """Where the pixels of D boxes look into their masks, along one axis.

    Pixel i sees mask position (i + 0.5 - origin) * scale - shift, in mask pixels counted from the first one's centre.

    Attributes:
        spans: per box, the pixels the mask reaches, half open, inside the image.
        origin: per box, pixels.
        scale: per box, mask pixels per pixel.
        shift: the same for all.
    """

    spans: list[tuple[int, int]]
    origin: list[float]
    scale: list[float]
    shift: float

    def weights(self, d: int, side: int) -> Float32Array:
        """(pixels, M) bilinear weights of box d; beyond the mask there are zeros."""
        pixel = np.arange(*self.spans[d], dtype=np.float64)
        position = (pixel + (0.5 - self.origin[d])) * self.scale[d] - self.shift
        values = position[:, None] - np.arange(side, dtype=np.float64)
        np.subtract(1, np.abs(values, out=values), out=values)
        return np.maximum(values, 0, out=values).astype(np.float32)


def _exact_grid(low: Float32Array, high: Float32Array, side: int, limit: int) -> _Grid:
    """The mask covers exactly its box; the image is sampled at pixel centres."""
    start, stop = low.astype(np.float64), high.astype(np.float64)
    reach = 0.5 * (stop - start) / side + 0.5  # up to half a mask pixel beyond the box, seen from pixel centres
    spans = _spans(np.floor(start - reach) + 1, np.ceil(stop + reach) - 1, limit)
    return _Grid(spans, start.tolist(), (side / (stop - start)).tolist(), 0.5)


def _torchvision_grid(low: Float32Array, high: Float32Array, side: int, limit: int) -> _Grid:
    """The mask gets a border of zeros, its box grows with it and is cut to whole numbers; both ends are pixels."""
    centre, half = (high + low) * 0.5, (high - low) * 0.5 * ((side + 2) / side)
    first, last = np.trunc(centre - half).astype(np.float64), np.trunc(centre + half).astype(np.float64)
    # Shift 1.5: the border moves the mask's first pixel to position 1.
    return _Grid(_spans(first, last + 1, limit), first.tolist(), ((side + 2) / (last - first + 1)).tolist(), 1.5)


def _spans(start: FloatArray, stop: FloatArray, limit: int) -> list[tuple[int, int]]:
    first, end = (np.clip(edge, 0, limit).astype(np.int64).tolist() for edge in (start, stop))
    return list(zip(first, end, strict=True))


@dataclass(frozen=True)
class _PasteRule:
    grid: Callable[[Float32Array, Float32Array, int, int], _Grid]
    is_mask: Callable[[Float32Array, float], BoolArray]


RULES: dict[Rule, _PasteRule] = {
    "exact": _PasteRule(_exact_grid, np.greater_equal),
    "torchvision": _PasteRule(_torchvision_grid, np.greater),
}


# --- references -------------------------------------------------------------------------------------------------


def paste_masks(
    mask_probs: Float32Array, boxes: Float32Array, size: Size, threshold: float = 0.5, rule: Rule = "exact"
) -> BoolArray:
    """(D, H, W) bool full-frame masks by the definition of the rule: D x H x W bytes, for tests and small images."""
    frames = np.zeros((len(boxes), *size), bool)
    for d in np.flatnonzero(_is_usable(boxes)).tolist():
        frames[d] = _REFERENCES[rule](mask_probs[d].astype(np.float64), boxes[d], size, threshold)
    return frames


def _exact_reference(probs: FloatArray, box: Float32Array, size: Size, threshold: float) -> BoolArray:
    """Every pixel centre, as a place in the box, looks into the mask; beyond the mask there are zeros."""
    (rows, columns), (x1, y1, x2, y2) = probs.shape, box.astype(np.float64)
    x = (np.arange(size[1]) + 0.5 - x1) / (x2 - x1) * columns - 0.5
    y = (np.arange(size[0]) + 0.5 - y1) / (y2 - y1) * rows - 0.5
    # One zero beyond each side is enough: further out it is the nearest value.
    return _bilinear(np.pad(probs, 1), np.clip(x, -1, columns) + 1, np.clip(y, -1, rows) + 1) >= threshold


def _torchvision_reference(probs: FloatArray, box: Float32Array, size: Size, threshold: float) -> BoolArray:
    """The mask with its border is resized to the whole pixels of its box, and these are laid into the frame."""
    rows, columns = probs.shape
    half = (box[2:] - box[:2]) * 0.5 * np.array([(columns + 2) / columns, (rows + 2) / rows], np.float32)
    centre = (box[2:] + box[:2]) * 0.5
    x1, y1 = map(int, np.trunc(centre - half))
    x2, y2 = (int(end) + 1 for end in np.trunc(centre + half))
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, size[1]), min(y2, size[0])
    frame = np.zeros(size, bool)
    if left < right and top < bottom:
        x, y = (
            np.clip((np.arange(first, last) + 0.5 - start) * (side / (stop - start)) - 0.5, 0, side - 1)
            for first, last, start, stop, side in (
                (left, right, x1, x2, columns + 2),
                (top, bottom, y1, y2, rows + 2),
            )
        )
        frame[top:bottom, left:right] = _bilinear(np.pad(probs, 1), x, y) > threshold
    return frame


def _bilinear(values: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """(h, w) a map read between its pixels, at columns x (w,) and rows y (h,), all inside the map."""
    rows, columns = values.shape
    left, top = (np.clip(np.floor(at), 0, n - 2).astype(np.int64) for at, n in ((x, columns), (y, rows)))
    to_right, down = x - left, (y - top)[:, None]
    upper, lower = (
        values[row[:, None], left] * (1 - to_right) + values[row[:, None], left + 1] * to_right
        for row in (top, top + 1)
    )
    return np.asarray(upper * (1 - down) + lower * down)


_REFERENCES: dict[Rule, Callable[[FloatArray, Float32Array, Size, float], BoolArray]] = {
    "exact": _exact_reference,
    "torchvision": _torchvision_reference,
}


def paste_windows_reference(
    mask_probs: Float32Array, boxes: Float32Array, size: Size, threshold: float, rule: Rule
) -> Iterator[tuple[ByteArray, Window]]:
    """Full frames, then cut to their windows."""
    masks = MaskCrops.from_bitmaps(paste_masks(mask_probs, boxes, size, threshold, rule))
    for index, (x1, y1, x2, y2) in enumerate(masks.windows.tolist()):
        yield masks.crop(index), (x1, y1, x2, y2)


# --- window by window -------------------------------------------------------------------------------------------


def paste_windows_separable(
    mask_probs: Float32Array, boxes: Float32Array, size: Size, threshold: float, rule: Rule
) -> Iterator[tuple[ByteArray, Window]]:
    """The same as two matrix products per mask, for the pixels that its box reaches."""
    (rows, columns), usable = mask_probs.shape[1:], _is_usable(boxes)
    x1, y1, x2, y2 = np.where(usable[:, None], boxes, np.array([0, 0, 1, 1], np.float32)).T
    x, y = RULES[rule].grid(x1, x2, columns, size[1]), RULES[rule].grid(y1, y2, rows, size[0])
    for index, window in enumerate(_windows(x, y, usable).tolist()):
        if any(window):
            weights = y.weights(index, rows), x.weights(index, columns)
            yield _paste(mask_probs[index], *weights, RULES[rule].is_mask, threshold), tuple(window)
        else:
            yield np.zeros((0, 0), np.uint8), (0, 0, 0, 0)


def _paste(
    probs: Float32Array,
    rows: Float32Array,
    columns: Float32Array,
    is_mask: Callable[[Float32Array, float], BoolArray],
    threshold: float,
) -> ByteArray:
    """(h, w) of 0 and 1 from an (M, M) mask and the weights (h, M) and (w, M) of its rows and columns.

    Column after column in memory, as run lengths go.
    """
    return is_mask(columns @ (rows @ probs).T, threshold).view(np.uint8).T


def _windows(x: _Grid, y: _Grid, usable: BoolArray) -> IntArray:
    """(D, 4) where the masks lie; zeros for boxes that are not usable or reach no pixel."""
    spans = [(left, top, right, bottom) for (left, right), (top, bottom) in zip(x.spans, y.spans, strict=True)]
    windows = np.array(spans, np.int64).reshape(-1, 4)
    windows[~usable | (windows[:, :2] >= windows[:, 2:]).any(axis=1)] = 0
    return windows


def _is_usable(boxes: Float32Array) -> BoolArray:
    """(D,) False for boxes with nan or infinity, and for empty and reversed ones: they have no mask."""
    return np.asarray((np.abs(boxes) <= _FARTHEST).all(axis=1) & (boxes[:, :2] < boxes[:, 2:]).all(axis=1))


PASTE: Ways[Callable[[Float32Array, Float32Array, Size, float, Rule], Iterator[tuple[ByteArray, Window]]]] = Ways(
    reference=paste_windows_reference, separable=paste_windows_separable
)


def paste_windows(
    mask_probs: Float32Array, boxes: Float32Array, size: Size, threshold: float = 0.5, rule: Rule = "exact"
) -> Iterator[tuple[ByteArray, Window]]:
    """The masks of D detections in the image, one after the other; memory for one window at a time.

    Args:
        mask_probs: (D, M, M) float32 foreground probabilities relative to the box; rows and columns may differ.
        boxes: (D, 4) float32 x1, y1, x2, y2 in the image's frame. A box that is empty, reversed, outside the image or
            not finite gives an empty mask.
        size: (height, width) of the image.
        threshold: least probability of a mask pixel, above 0 (rule "torchvision": it must be exceeded).
        rule: "exact": the mask covers exactly its box (detectron2's way). "torchvision": its grown and truncated box.

    Yields:
        (h, w) uint8 of 0 and 1, and where it lies in the image; without pixels where there is no mask.
    """
    return PASTE.choose("separable")(mask_probs, boxes, size, threshold, rule)


def paste_rles(
    mask_probs: Float32Array, boxes: Float32Array, size: Size, threshold: float = 0.5, rule: Rule = "exact"
) -> Iterator[RLE]:
    """The same as run lengths; arguments as `paste_windows`."""
    for crop, window in paste_windows(mask_probs, boxes, size, threshold, rule):
        yield encode_rle_crop(crop, window, size)
