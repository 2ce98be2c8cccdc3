"""What tiles have found, in pixels of the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from maskrcnn.large.grid import SLACK, Grid, Tile
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.rle import Window
from maskrcnn.prediction import Prediction
from maskrcnn.structures.masks import BoolArray, Float32Array, FloatArray, IntArray

OWNED, NEAR, LARGE, CUT = range(4)
"""How far a tile is to be trusted with an object, best first: its centre lies in the tile's core; just beside it; it is
whole but too large for every tile to see; it goes on behind an edge."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """N objects, or parts of objects that the edges of a tile cut off.

    Attributes:
        boxes: (N, 4) float64 x1, y1, x2, y2, continuous pixels of the whole image.
        scores: (N,) float32.
        labels: (N,) int64.
        keypoints: (N, P, 3) float32 x, y, score; None without them.
        runs: their masks; None from a model without masks.
        trust: (N,) int64, one of the kinds above.
    """

    boxes: FloatArray
    scores: Float32Array
    labels: IntArray
    keypoints: Float32Array | None
    runs: ColumnRuns | None
    trust: IntArray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, indices: IntArray) -> Pieces:
        """The pieces `indices`, in that order."""
        return Pieces(
            self.boxes[indices],
            self.scores[indices],
            self.labels[indices],
            None if self.keypoints is None else self.keypoints[indices],
            None if self.runs is None else self.runs[indices],
            self.trust[indices],
        )

    @cached_property
    def areas(self) -> FloatArray:
        """(N,) pixels of each mask; of each box, without masks."""
        if self.runs is None:
            return np.asarray((self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1))
        return self.runs.areas().astype(np.float64)

    def area_in(self, index: int, window: Window) -> float:
        """What one of them has inside a window of pixels."""
        if self.runs is not None:
            return self.runs.area_in(index, window)
        low, high = np.maximum(self.boxes[index, :2], window[:2]), np.minimum(self.boxes[index, 2:], window[2:])
        return float(np.maximum(high - low, 0).prod())

    @classmethod
    def concatenate(cls, parts: Sequence[Pieces]) -> Pieces:
        """All of at least one part's pieces, one after the other."""
        keypoints = [part.keypoints for part in parts if part.keypoints is not None]
        runs = [part.runs for part in parts if part.runs is not None]
        return cls(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate(keypoints) if keypoints else None,
            ColumnRuns.concatenate(runs) if runs else None,
            np.concatenate([part.trust for part in parts]),
        )


def pieces_of(found: Prediction, tile: Tile, grid: Grid) -> Pieces:
    """What a tile's prediction contributes: nothing that another tile is certain to see better."""
    x, y, _, _ = grid.window(tile)
    height, width = grid.image_size
    boxes = np.minimum(found.boxes.astype(np.float64) + np.array([x, y, x, y]), [width, height, width, height])
    keypoints = None
    if found.keypoints is not None:
        keypoints = (found.keypoints + np.array([x, y, 0])).astype(np.float32)
    runs = ColumnRuns.from_packed(found.run_lengths, (x, y)).clipped(grid.image_size) if found.has_masks else None
    cut = grid.cut_sides(tile, boxes)
    trust = _trust(boxes, np.asarray(cut.any(axis=1)), grid.core(tile))
    small = (boxes[:, 2:] - boxes[:, :2] <= grid.overlap).all(axis=1)
    certain = _seen_whole_elsewhere(boxes, cut, tile, grid) | ((trust == LARGE) & small)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # the tile may reach beyond the image
    kept = np.flatnonzero(inside & ~certain)
    return Pieces(boxes, found.scores, found.labels, keypoints, runs, trust)[kept]


def _trust(boxes: FloatArray, is_cut: BoolArray, core: tuple[float, float, float, float]) -> IntArray:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    low, high = np.array(core[:2]), np.array(core[2:])
    outside = np.maximum(low - centre, centre - high).max(axis=1)
    own = ((centre >= low) & (centre < high)).all(axis=1)
    return np.select([is_cut, own, outside <= SLACK], [CUT, OWNED, NEAR], LARGE).astype(np.int64)


def _seen_whole_elsewhere(boxes: FloatArray, cut: BoolArray, tile: Tile, grid: Grid) -> BoolArray:
    """(D,) parts that lie in a neighbour, which sees where they go on: it has them whole, or a larger part of them."""
    seen = np.zeros(len(boxes), bool)
    for other in grid.neighbours(tile):
        x1, y1, x2, y2 = grid.window(other)
        inside = (boxes >= [x1, y1, -np.inf, -np.inf]).all(axis=1) & (boxes <= [np.inf, np.inf, x2, y2]).all(axis=1)
        seen |= inside & ~grid.cut_sides(other, boxes).any(axis=1)
    return np.asarray(seen & cut.any(axis=1))
