"""From the pieces of tiles to objects: every object once, row of tiles by row of tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from maskrcnn.large.grid import Grid, Tile
from maskrcnn.large.pieces import Pieces
from maskrcnn.large.seams import relate
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.structures.masks import BoolArray

Key = tuple[Tile, int]
"""A piece: its tile, and its place there."""


@dataclass(eq=False)
class _Row:
    """One row of tiles and what is known of their pieces so far."""

    tiles: dict[Tile, Pieces]
    worse: dict[Tile, BoolArray]


@dataclass(eq=False)
class Stitcher:
    """Takes rows of tiles from top to bottom and gives objects as soon as no later row can change them.

    It holds two rows, and the parts of objects that reach into the newest.
    """

    grid: Grid
    _last: _Row = field(default_factory=lambda: _Row({}, {}))
    _parts: dict[Key, Pieces] = field(default_factory=dict)
    _object_of: dict[Key, Key] = field(default_factory=dict)

    def add_row(self, tiles: dict[Tile, Pieces]) -> Pieces | None:
        """The pieces of a row, in; the objects that are complete, out, best score first; None where there are none."""
        tiles = dict(sorted(tiles.items()))
        row = _Row(tiles, {tile: np.zeros(len(pieces), bool) for tile, pieces in tiles.items()})
        for tile in tiles:
            for other in self.grid.neighbours(tile):
                if other in self._last.tiles:
                    self._relate(other, self._last, tile, row)
                elif other in tiles and other < tile:
                    self._relate(other, row, tile, row)
        complete, self._last = self._last, row
        return self._objects(complete)

    def finish(self) -> Pieces | None:
        """The objects of the last row."""
        return self.add_row({})

    def _relate(self, first: Tile, first_row: _Row, second: Tile, second_row: _Row) -> None:
        a, b = first_row.tiles[first], second_row.tiles[second]
        if not len(a) or not len(b):
            return
        (x1, y1, x2, y2), (u1, v1, u2, v2) = self.grid.window(first), self.grid.window(second)
        found = relate(a, b, (max(x1, u1), max(y1, v1), min(x2, u2), min(y2, v2)))
        first_row.worse[first][found.worse[0]] = True
        second_row.worse[second][found.worse[1]] = True
        for i, j in found.parts.tolist():
            self._join((first, i), (second, j))

    def _join(self, a: Key, b: Key) -> None:
        """The parts of one object have one name: that of the first of them."""
        first, second = sorted((self._name(a), self._name(b)))
        self._object_of.setdefault(first, first)
        self._object_of[second] = first

    def _name(self, key: Key) -> Key:
        while (other := self._object_of.get(key, key)) != key:
            key = other
        return key

    def _objects(self, complete: _Row) -> Pieces | None:
        """Single pieces of the row, and objects of several parts of which none lies in the row that came last."""
        single = []
        for tile, pieces in complete.tiles.items():
            kept = np.flatnonzero(~complete.worse[tile]).tolist()
            joined = [place for place in kept if (tile, place) in self._object_of]
            self._parts |= {(tile, place): pieces[np.array([place])] for place in joined}
            single.append(pieces[np.array([p for p in kept if (tile, p) not in self._object_of], np.int64)])
        found = [pieces for pieces in (*single, *self._united()) if len(pieces)]
        if not found:
            return None
        objects = Pieces.concatenate(found)
        return objects[np.argsort(-objects.scores, kind="stable")]

    def _united(self) -> Iterator[Pieces]:
        objects: dict[Key, list[Key]] = {}
        for key in sorted(self._object_of):
            objects.setdefault(self._name(key), []).append(key)
        for keys in objects.values():
            if not any(tile in self._last.tiles for tile, _ in keys):
                parts = [self._parts.pop(key) for key in keys if key in self._parts]  # others were seen better
                for key in keys:
                    del self._object_of[key]
                if parts:
                    yield _union(Pieces.concatenate(parts))


def _union(parts: Pieces) -> Pieces:
    """One object of all parts, with the score and the keypoints of the best."""
    best = parts[np.argmax(parts.scores, keepdims=True)]
    box = np.concatenate([parts.boxes[:, :2].min(axis=0), parts.boxes[:, 2:].max(axis=0)])
    return replace(best, boxes=box[None], runs=None if parts.runs is None else _united_masks(parts.runs))


def _united_masks(runs: ColumnRuns) -> ColumnRuns:
    """One mask of the pixels that any of them has."""
    windows = runs.windows()[runs.areas() > 0]
    if not len(windows):
        return runs[np.zeros(1, np.int64)]
    (x1, y1), (x2, y2) = windows[:, :2].min(axis=0).tolist(), windows[:, 2:].max(axis=0).tolist()
    bitmap = np.zeros((y2 - y1, x2 - x1), np.uint8)
    for index in range(len(runs)):
        bitmap |= runs.crop(index, (x1, y1, x2, y2))
    return ColumnRuns.from_bitmap(bitmap, (x1, y1))
