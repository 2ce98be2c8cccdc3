"""Run lengths, COCO's mask format: to and from whole bitmaps, area, extent.

Pixels are numbered down the columns: pixel (x, y) of an H x W frame has position x * H + y. Runs of zeros and ones
alternate, zeros first. Beside this: `rle_crops.py` for masks known inside a window, `rle_string.py` and `rle_coco.py`
for how files spell them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from maskrcnn.structures import RLE, Size
from maskrcnn.structures.masks import ByteArray, IntArray
from maskrcnn.ways import Ways

Window = tuple[int, int, int, int]
"""x1, y1, x2, y2 in whole pixels, half open, inside the frame."""


# --- bitmap -> runs ---------------------------------------------------------------------------------------------


def encode_rle_reference(bitmap: ByteArray) -> RLE:
    """The definition: walk down the columns and count equal pixels."""
    counts, current, length = [], 0, 0
    for pixel in bitmap.T.reshape(-1).tolist():
        if (pixel != 0) == current:
            length += 1
        else:
            counts.append(length)
            current, length = int(pixel != 0), 1
    return RLE(_size_of(bitmap), np.array([*counts, length], np.int64))


def encode_rle_changes(bitmap: ByteArray) -> RLE:
    """The same from the places where the value changes."""
    pixels = np.concatenate([[False], bitmap.T.reshape(-1) != 0])
    return RLE(_size_of(bitmap), counts_between(np.flatnonzero(pixels[1:] != pixels[:-1]), bitmap.size))


def counts_between(ends: IntArray, total: int) -> IntArray:
    """Run lengths from the positions where the value changes; no empty run at the end."""
    edges = np.empty(len(ends) + 2, np.int64)
    edges[0], edges[1:-1], edges[-1] = 0, ends, total
    counts = edges[1:] - edges[:-1]
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def _size_of(bitmap: ByteArray) -> Size:
    return int(bitmap.shape[0]), int(bitmap.shape[1])


# --- runs -> bitmap ---------------------------------------------------------------------------------------------


def decode_rle_reference(rle: RLE) -> ByteArray:
    """The definition: write one run after the other."""
    height, width = rle.size
    pixels = np.zeros(height * width, np.uint8)
    position = 0
    for index, count in enumerate(rle.counts.tolist()):
        pixels[position : position + count] = index % 2
        position += count
    return pixels.reshape(width, height).T


def decode_rle_repeat(rle: RLE) -> ByteArray:
    """The same with one `repeat`."""
    return paint_runs(rle.counts, rle.size)


def paint_runs(counts: IntArray, size: Size) -> ByteArray:
    """The bitmap (H, W) of run lengths that sum to H x W."""
    height, width = size
    values = (np.arange(len(counts)) % 2).astype(np.uint8)
    return np.repeat(values, counts).reshape(width, height).T


# --- measures ---------------------------------------------------------------------------------------------------


def rle_area(rle: RLE) -> int:
    """Number of pixels in the mask."""
    return int(rle.counts[1::2].sum())


def rle_window_reference(rle: RLE) -> Window:
    """The definition: first and last row and column that hold a one."""
    ys, xs = np.nonzero(decode_rle_reference(rle))
    if len(xs) == 0:
        return 0, 0, 0, 0
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def rle_window_runs(rle: RLE) -> Window:
    """The same from the runs of ones: the column of the first and the last, the rows of all."""
    height = rle.size[0]
    ends, lengths = np.cumsum(rle.counts)[1::2], rle.counts[1::2]
    ends, lengths = ends[lengths > 0], lengths[lengths > 0]
    if len(lengths) == 0:
        return 0, 0, 0, 0
    starts = ends - lengths
    tops = starts % height
    top, bottom = int(tops.min()), int((tops + lengths).max())
    x1, x2 = int(starts[0]) // height, (int(ends[-1]) - 1) // height + 1
    # A run that passes the bottom of the frame goes on at its top.
    return (x1, top, x2, bottom) if bottom <= height else (x1, 0, x2, height)


# --- implementations and public names ---------------------------------------------------------------------------

ENCODE: Ways[Callable[[ByteArray], RLE]] = Ways(reference=encode_rle_reference, changes=encode_rle_changes)
DECODE: Ways[Callable[[RLE], ByteArray]] = Ways(reference=decode_rle_reference, repeat=decode_rle_repeat)
WINDOW: Ways[Callable[[RLE], Window]] = Ways(reference=rle_window_reference, runs=rle_window_runs)


def encode_rle(bitmap: ByteArray) -> RLE:
    """Run lengths of a bitmap (H, W); anything but 0 belongs to the mask."""
    return ENCODE.choose("changes")(bitmap)


def decode_rle(rle: RLE) -> ByteArray:
    """The bitmap (H, W) uint8 of 0 and 1, in column order in memory."""
    return DECODE.choose("repeat")(rle)


def rle_window(rle: RLE) -> Window:
    """The tightest window around the mask, whole pixels x1, y1, x2, y2; zeros for an empty mask."""
    return WINDOW.choose("runs")(rle)
