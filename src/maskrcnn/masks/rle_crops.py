"""Run lengths of masks that are known, or wanted, inside a window only; no full frame is built on the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from maskrcnn.masks.rle import Window, counts_between, decode_rle_reference, encode_rle_reference, paint_runs
from maskrcnn.structures import RLE, Size
from maskrcnn.structures.masks import ByteArray, IntArray
from maskrcnn.ways import Ways


def encode_rle_crop_reference(crop: ByteArray, window: Window, size: Size) -> RLE:
    """The definition: put the crop into an empty frame and encode that."""
    frame = np.zeros(size, np.uint8)
    x1, y1, x2, y2 = window
    frame[y1:y2, x1:x2] = crop != 0
    return encode_rle_reference(frame)


def encode_rle_crop_runs(crop: ByteArray, window: Window, size: Size) -> RLE:
    """The same from the ends of the runs inside the crop's columns; costs what the crop costs."""
    x1, y1, _, _ = window
    height, width = size
    crop_height, crop_width = crop.shape
    # A zero below every column ends its runs, and one before the first column starts the first.
    columns = np.zeros(1 + crop_width * (crop_height + 1), np.bool_)
    columns[1:].reshape(crop_width, crop_height + 1)[:, :crop_height] = crop.T
    x, y = np.divmod(np.flatnonzero(columns[1:] != columns[:-1]), crop_height + 1)
    ends = (x1 + x) * height + y1 + y  # start, end, start, end, ... as positions in the frame
    return RLE(size, counts_between(_join_touching(ends) if crop_height == height else ends, height * width))


def _join_touching(ends: IntArray) -> IntArray:
    """Drop an end that is the next start: a run that goes on from the frame's bottom edge at the next column's top."""
    touching = np.flatnonzero(ends[1:] == ends[:-1])
    return np.delete(ends, np.concatenate([touching, touching + 1]))


def crop_rle_reference(rle: RLE, window: Window) -> ByteArray:
    """The definition: decode the frame and cut."""
    x1, y1, x2, y2 = window
    return decode_rle_reference(rle)[y1:y2, x1:x2]


def crop_rle_runs(rle: RLE, window: Window) -> ByteArray:
    """The same from the run ends: each is moved to the number of window pixels that come before it."""
    x1, y1, x2, y2 = window
    crop_height, crop_width = y2 - y1, x2 - x1
    x, y = np.divmod(np.cumsum(rle.counts), max(rle.size[0], 1))
    before = (x - x1) * crop_height + _within(y - y1, crop_height)
    ends = _within(before, crop_width * crop_height)
    counts = ends.copy()
    counts[1:] -= ends[:-1]
    return paint_runs(counts, (crop_height, crop_width))


def _within(values: IntArray, limit: int) -> IntArray:
    """Cut to 0 .. limit, in place: for few values `np.clip` takes five times as long."""
    return np.minimum(np.maximum(values, 0, out=values), limit, out=values)


ENCODE_CROP: Ways[Callable[[ByteArray, Window, Size], RLE]] = Ways(
    reference=encode_rle_crop_reference, runs=encode_rle_crop_runs
)
CROP: Ways[Callable[[RLE, Window], ByteArray]] = Ways(reference=crop_rle_reference, runs=crop_rle_runs)


def encode_rle_crop(crop: ByteArray, window: Window, size: Size) -> RLE:
    """Run lengths, in a frame of `size`, of a mask known only inside its window.

    Args:
        crop: (h, w); anything but 0 belongs to the mask.
        window: where the crop lies, x1, y1, x2, y2 in whole pixels, inside the frame.
        size: (height, width) of the frame.
    """
    x1, y1, x2, y2 = window
    if crop.shape != (y2 - y1, x2 - x1) or not _is_inside(window, size):
        raise ValueError(f"a crop of {crop.shape} does not fit window {window} of a {size} frame")
    return ENCODE_CROP.choose("runs")(crop, window, size)


def crop_rle(rle: RLE, window: Window) -> ByteArray:
    """The bitmap (h, w) uint8 inside a window, without the frame around it."""
    if not _is_inside(window, rle.size):
        raise ValueError(f"window {window} is not inside a {rle.size} frame")
    return CROP.choose("runs")(rle, window)


def _is_inside(window: Window, size: Size) -> bool:
    x1, y1, x2, y2 = window
    return 0 <= x1 <= x2 <= size[1] and 0 <= y1 <= y2 <= size[0]
