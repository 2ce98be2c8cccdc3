"""Where tiles lie in a large image, and which of them owns a place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from maskrcnn.masks.rle import Window
from maskrcnn.structures import Size
from maskrcnn.structures.masks import FloatArray, IntArray

ALIGNMENT = 64
"""Tiles begin at multiples of this: at the coarsest stride of a pyramid, so that all see the same grid of cells."""

SLACK = 8
"""Pixels: what two tiles make of one object may be so far apart, and then neither leaves it to the other."""

EDGE = 2
"""Pixels: what ends so near the edge of a tile may go on behind it."""

Tile = tuple[int, int]
"""Its row and its column in the grid."""


@dataclass(frozen=True)
class Grid:
    """Equal square tiles over an image; the last of a row may reach beyond its edge.

    An object whose sides are at most `overlap` lies wholly in the tile that owns its centre.

    Attributes:
        image_size: (height, width), pixels.
        tile: side of a tile, pixels, a multiple of `ALIGNMENT`.
        x_starts: (C,) left edge of each column of tiles.
        y_starts: (R,) upper edge of each row.
    """

    image_size: Size
    tile: int
    x_starts: IntArray
    y_starts: IntArray

    @classmethod
    def over(cls, image_size: Size, tile: int, overlap: int) -> Grid:
        """As few tiles as cover the image.

        Args:
            image_size: (height, width), pixels.
            tile: their side, pixels; rounded up to a multiple of `ALIGNMENT`.
            overlap: objects with sides up to this are seen whole; neighbours share a little more, and at most half.
        """
        tile = _rounded_up(tile)
        shared = min(_rounded_up(overlap + 2 * (SLACK + EDGE)), tile // 2 // ALIGNMENT * ALIGNMENT)
        height, width = image_size
        return cls(image_size, tile, _starts(width, tile, shared), _starts(height, tile, shared))

    def __len__(self) -> int:
        return len(self.x_starts) * len(self.y_starts)

    @property
    def overlap(self) -> int:
        """Sides of objects, pixels, that the tile which owns their centre sees whole in any case."""
        steps = [np.diff(starts).max() for starts in (self.x_starts, self.y_starts) if len(starts) > 1]
        return int(self.tile - max(steps)) - 2 * (SLACK + EDGE) if steps else self.tile

    def row(self, row: int) -> Iterator[Tile]:
        """The tiles of one row from left to right."""
        return ((row, column) for column in range(len(self.x_starts)))

    def window(self, tile: Tile) -> Window:
        """x1, y1, x2, y2 of a tile, which may reach beyond the image."""
        x, y = int(self.x_starts[tile[1]]), int(self.y_starts[tile[0]])
        return x, y, x + self.tile, y + self.tile

    def neighbours(self, tile: Tile) -> list[Tile]:
        """The up to eight tiles around one."""
        rows, columns = range(len(self.y_starts)), range(len(self.x_starts))
        around = [(tile[0] + y, tile[1] + x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
        return [(row, column) for row, column in around if row in rows and column in columns]

    def core(self, tile: Tile) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 of the places a tile owns: half open, they partition the plane halfway between neighbours."""
        x1, x2 = self._own(self.x_starts, tile[1])
        y1, y2 = self._own(self.y_starts, tile[0])
        return x1, y1, x2, y2

    def _own(self, starts: IntArray, place: int) -> tuple[float, float]:
        halfway = (starts[1:] + starts[:-1] + self.tile) / 2
        return float([-math.inf, *halfway][place]), float([*halfway, math.inf][place])

    def cut_sides(self, tile: Tile, boxes: FloatArray) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        """(D, 4) on which sides (left, upper, right, lower) boxes reach an edge behind which the image goes on."""
        x1, y1, x2, y2 = self.window(tile)
        inner = np.array([x1 > 0, y1 > 0, x2 < self.image_size[1], y2 < self.image_size[0]])
        distance = np.stack([boxes[:, 0] - x1, boxes[:, 1] - y1, x2 - boxes[:, 2], y2 - boxes[:, 3]], axis=1)
        return np.asarray((distance <= EDGE) & inner)


def _starts(length: int, tile: int, shared: int) -> IntArray:
    """Evenly spread and aligned: neighbours share `shared` pixels or more."""
    if length <= tile:
        return np.zeros(1, np.int64)
    number = math.ceil((length - shared) / (tile - shared))
    step = _rounded_up(math.ceil((length - tile) / (number - 1)))
    return np.arange(math.ceil((length - tile) / step) + 1, dtype=np.int64) * step


def _rounded_up(side: int) -> int:
    return max(math.ceil(side / ALIGNMENT), 1) * ALIGNMENT
