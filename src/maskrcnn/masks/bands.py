"""Masks that are drawn and encoded a band of columns at a time, so that one of a whole slide needs no bitmap of it."""

from __future__ import annotations

from collections.abc import Callable

from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.rle import Window
from maskrcnn.masks.rle_crops import encode_rle_crop
from maskrcnn.structures import RLE, Size
from maskrcnn.structures.masks import ByteArray

BAND = 1 << 26
"""Pixels that are drawn at a time."""


def encode_in_bands(draw: Callable[[Window], ByteArray], window: Window, size: Size) -> RLE:
    """Run lengths of a mask that lies in a window of a frame.

    Args:
        draw: gives the bitmap (h, w) of a part of the window; anything but 0 belongs to the mask.
        window: x1, y1, x2, y2 in whole pixels, inside the frame.
        size: (height, width) of the frame.
    """
    x1, y1, x2, y2 = window
    columns = max(BAND // max(y2 - y1, 1), 1)
    if x2 - x1 <= columns:
        return encode_rle_crop(draw(window), window, size)
    bands = [(left, y1, min(left + columns, x2), y2) for left in range(x1, x2, columns)]
    parts = ColumnRuns.concatenate([ColumnRuns.from_bitmap(draw(band), band[:2]) for band in bands])
    return parts.as_one().to_packed(size).rle(0)
