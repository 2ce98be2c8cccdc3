"""An image in several sizes, each half of the one before, from strips of the largest: as a map that can be zoomed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from maskrcnn.structures import Size
from maskrcnn.structures.masks import ByteArray

Value = TypeVar("Value", np.uint8, np.uint32)


def num_levels(size: Size, tile: int) -> int:
    """How many sizes there are, until all of the image fits into one tile."""
    levels = 1
    while max(size) > tile << (levels - 1):
        levels += 1
    return levels


def pyramid(
    strips: Iterator[npt.NDArray[Value]],
    levels: int,
    tile: int,
    halved: Callable[[npt.NDArray[Value]], npt.NDArray[Value]],
) -> Iterator[tuple[int, int, npt.NDArray[Value]]]:
    """(level, row, strip) of every row of tiles, as soon as it is complete; memory is that of two strips for a level.

    Args:
        strips: (tile, width, ...) of the image from top to bottom; the last may have fewer rows.
        levels: how many sizes are wanted.
        tile: an even number of rows.
        halved: makes a strip half as large, rounded up.
    """
    waiting: list[list[npt.NDArray[Value]]] = [[] for _ in range(levels)]
    rows = [0] * levels

    def give(level: int, strip: npt.NDArray[Value]) -> Iterator[tuple[int, int, npt.NDArray[Value]]]:
        yield level, rows[level], strip
        rows[level] += 1
        if level + 1 < levels:
            waiting[level + 1].append(halved(strip))
            if len(waiting[level + 1]) == 2:
                yield from give_waiting(level + 1)

    def give_waiting(level: int) -> Iterator[tuple[int, int, npt.NDArray[Value]]]:
        strip = np.concatenate(waiting[level])
        waiting[level].clear()
        yield from give(level, strip)

    for strip in strips:
        yield from give(0, strip)
    for level in range(1, levels):  # what the last strips leave, from the largest size on
        if waiting[level]:
            yield from give_waiting(level)


def half_of_pixels(strip: ByteArray) -> ByteArray:
    """(h, w, 3): the mean of each two by two; the last row and column may stand twice."""
    import cv2

    whole = _even(strip)
    half: ByteArray = cv2.resize(whole, (whole.shape[1] // 2, whole.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return half


def half_of_numbers(strip: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """(h, w): the highest of each two by two, so that no object is lost in a smaller image."""
    whole = _even(strip)
    pairs = np.maximum(whole[::2], whole[1::2])
    return np.maximum(pairs[:, ::2], pairs[:, 1::2])


def _even(strip: npt.NDArray[Value]) -> npt.NDArray[Value]:
    missing = [(0, strip.shape[0] % 2), (0, strip.shape[1] % 2), *[(0, 0)] * (strip.ndim - 2)]
    return np.pad(strip, missing, mode="edge") if np.any(missing) else strip
