"""Which object lies where, coarsely: what a label would cover."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maskrcnn.structures.masks import ByteArray

FREE = -1

MUCH_LARGER = 3.0
"""An object so many times larger than another is its background: a window's label may lie on the house."""


class Occupancy:
    """A grid of cells over a picture; later objects lie on top.

    Args:
        size: (height, width) of the picture.
        cell: side of a cell in pixels.
    """

    def __init__(self, size: tuple[int, int], cell: int) -> None:
        self._cell = cell
        self._owners: npt.NDArray[np.int32] = np.full((-(-size[0] // cell), -(-size[1] // cell)), FREE, np.int32)
        self._areas: dict[int, float] = {FREE: np.inf}

    def add(self, index: int, bitmap: ByteArray, window: tuple[int, int, int, int]) -> None:
        """An object's bitmap in its window; of it, one pixel a cell is looked at, and its middle."""
        x1, y1, x2, y2 = window
        cell = self._cell
        self._areas[index] = float((x2 - x1) * (y2 - y1))
        if bitmap.size == 0:
            return
        self._owners[(y1 + y2) // 2 // cell, (x1 + x2) // 2 // cell] = index
        sampled = bitmap[-y1 % cell :: cell, -x1 % cell :: cell].astype(bool)
        if sampled.size:
            rows, columns = sampled.shape
            top, left = -(-y1 // cell), -(-x1 // cell)
            np.putmask(self._owners[top : top + rows, left : left + columns], sampled, index)

    def covered(self, plate: tuple[float, float, float, float], index: int | None = None) -> int:
        """How many cells under a plate belong to objects other than `index` that are not its background."""
        x1, y1, x2, y2 = (int(side) // self._cell for side in plate)
        owners, counts = np.unique(self._owners[max(y1, 0) : y2 + 1, max(x1, 0) : x2 + 1], return_counts=True)
        own = 0.0 if index is None else self._areas.get(index, 0.0)
        return sum(
            count
            for owner, count in zip(owners.tolist(), counts.tolist(), strict=True)
            if owner not in (FREE, index) and (index is None or self._areas[owner] < MUCH_LARGER * own)
        )
