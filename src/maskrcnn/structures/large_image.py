"""LargeImage: an image of which windows are read, since it may be too large to be held as a whole."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from maskrcnn.structures.masks import BoolArray, ByteArray
from maskrcnn.structures.size import Size

Window = tuple[int, int, int, int]
"""x1, y1, x2, y2 in whole pixels, half open, inside the image."""


class LargeImage(Protocol):
    """An image of which parts can be read."""

    @property
    def size(self) -> Size:
        """(height, width), pixels."""

    def read(self, window: Window) -> ByteArray:
        """(h, w, C) uint8, RGB as a rule, of a window; may be a view of the image's own memory."""


class StoredImage(LargeImage, Protocol):
    """An image in a file of numbers that may be no bytes."""

    def values(self, window: Window) -> npt.NDArray[Any]:
        """(h, w, C), or (h, w), of a window as the file has them."""


@runtime_checkable
class WithGaps(LargeImage, Protocol):
    """An image that may have no data in places."""

    def missing(self, window: Window) -> BoolArray:
        """(h, w) pixels without data in a window as `read` takes it."""


class WholeImage:
    """An image that is in memory as (H, W, C) bytes."""

    def __init__(self, pixels: ByteArray) -> None:
        self._pixels = pixels

    @property
    def size(self) -> Size:
        """(height, width), pixels."""
        return self._pixels.shape[0], self._pixels.shape[1]

    def read(self, window: Window) -> ByteArray:
        """As `LargeImage`."""
        x1, y1, x2, y2 = window
        return self._pixels[y1:y2, x1:x2]
