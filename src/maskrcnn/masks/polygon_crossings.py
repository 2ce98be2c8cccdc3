"""The runs of pixels that rings cover by COCO's rule, from the places where their edges cross pixel columns.

COCO's rule: a ring is moved to a grid five times as fine, where its edges become chains of grid points. Where a chain
passes the middle of a pixel column (from fine x = 5 x + 2 to 5 x + 3), the mask changes between outside and inside,
from the first pixel whose centre is not above the crossing downwards. Only these crossings are computed, so a ring
costs its crossings inside the window, however large its coordinates are; and only some at a time, so that memory is in
proportion to the edges and to the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.masks.rle import Window
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray

FINE = 5
"""Fine grid points per pixel and axis."""

CROSSINGS_AT_A_TIME = 1 << 18
"""Each takes some 150 bytes while it is computed."""

_FINE_LIMIT = 2**31 - 1
"""Coordinates are cut here: COCO's own reader uses 32-bit numbers."""


@dataclass(frozen=True)
class _Edges:
    """M edges that cross a pixel column, in the order of the rings.

    Attributes:
        ends: (M, 4) xs, ys, xe, ye on the fine grid.
        ring: (M,) the number of the ring.
        first: (M,) the first column crossed.
        counts: (M,) how many columns are crossed, from there on.
    """

    ends: IntArray
    ring: IntArray
    first: IntArray
    counts: IntArray

    def __len__(self) -> int:
        return len(self.ring)

    def __getitem__(self, chosen: slice | BoolArray) -> _Edges:
        return _Edges(self.ends[chosen], self.ring[chosen], self.first[chosen], self.counts[chosen])


def fine_points(points: FloatArray) -> IntArray:
    """(n, 2) points on the fine grid, rounded as COCO does (a half upwards, negative numbers towards zero).

    Raises:
        UserError: a coordinate is not finite.
    """
    if not np.isfinite(points).all():
        raise UserError("polygon: expected finite coordinates, got nan or infinity; remove it or draw it again")
    return np.clip(np.trunc(FINE * points + 0.5), -_FINE_LIMIT, _FINE_LIMIT).astype(np.int64)


def count_crossings(rings: Sequence[FloatArray], width: int) -> int:
    """How many pixel columns the edges of all rings cross in an image of `width`: what drawing them costs."""
    return int(_crossing_edges(rings, 0, width).counts.sum())


def runs_of_rings(rings: Sequence[FloatArray], window: Window) -> IntArray:
    """Where the union of all rings begins, ends, begins ... down the columns of the window, ascending: an even number.

    Position x * h + y is pixel (x, y) of the window of height h.
    """
    x1, y1, x2, y2 = window
    positions = (x2 - x1) * (y2 - y1) + 1
    edges = _crossing_edges(rings, x1, x2)
    runs = np.zeros(0, np.int64)
    for batch in _whole_rings(edges):
        # A column is crossed an even number of times, so changes below its last pixel cancel at the next column's top.
        changes = _changes_of_rings(batch, window)
        if len(rings) == 1:
            return changes
        runs = _union(runs, changes % positions)
    return runs


def _crossing_edges(rings: Sequence[FloatArray], x1: int, x2: int) -> _Edges:
    """The edges that cross a column x1 <= x < x2: whose fine x range holds 5 x + 2 and 5 x + 3."""
    sizes = np.array([len(ring) for ring in rings if len(ring)], np.int64)
    if not len(sizes):
        return _Edges(np.zeros((0, 4), np.int64), *np.zeros((3, 0), np.int64))
    fine = fine_points(rings[0] if len(rings) == 1 else np.concatenate([ring for ring in rings if len(ring)]))
    following = np.arange(1, len(fine) + 1)
    following[np.cumsum(sizes) - 1] -= sizes
    xs, xe = fine[:, 0], fine[following, 0]
    first = np.maximum(-((2 - np.minimum(xs, xe)) // FINE), x1)
    counts = np.minimum((np.maximum(xs, xe) - 3) // FINE, x2 - 1) - first + 1
    chosen = np.flatnonzero(counts > 0)
    ends = np.concatenate([fine[chosen], fine[following[chosen]]], axis=1)
    ring = np.searchsorted(np.cumsum(sizes), chosen, side="right") if len(sizes) > 1 else np.zeros_like(chosen)
    return _Edges(ends, ring, first[chosen], counts[chosen])


def _whole_rings(edges: _Edges) -> Iterator[_Edges]:
    """The edges of as many whole rings as have about `CROSSINGS_AT_A_TIME`; of at least one."""
    if len(edges) and edges.counts.sum() <= CROSSINGS_AT_A_TIME:
        yield edges
        return
    until = np.cumsum(edges.counts)
    ring_ends = np.flatnonzero(np.diff(edges.ring, append=-1)) + 1
    start = done = 0
    while start < len(edges):
        fits = int((until <= done + CROSSINGS_AT_A_TIME).sum())  # edges from the first on
        ring = max(int((ring_ends <= fits).sum()), int((ring_ends <= start).sum()) + 1)  # rings from the first on
        end = int(ring_ends[ring - 1])
        yield edges[start:end]
        start, done = end, int(until[end - 1])


def _changes_of_rings(edges: _Edges, window: Window) -> IntArray:
    """Numbers of all changes, sorted: ring after ring, down the columns.

    Where a ring's edges cross more than can be computed at a time, what cancels is dropped on the way: a change that
    happens twice at one place is none.
    """
    total = int(edges.counts.sum())
    if total <= CROSSINGS_AT_A_TIME:
        return np.sort(_changes(edges, window))
    parts = np.searchsorted(np.cumsum(edges.counts), np.arange(1, total, CROSSINGS_AT_A_TIME))
    changes: IntArray = np.zeros(0, np.int64)
    for start, end in zip(parts, [*parts[1:], len(edges)], strict=True):
        changes, times = np.unique(np.concatenate([changes, _changes(edges[start:end], window)]), return_counts=True)
        changes = changes[times % 2 == 1]
    return changes


def _changes(edges: _Edges, window: Window) -> IntArray:
    """The number of every change: that of its ring times the positions of a window, and its position."""
    x1, y1, x2, y2 = window
    height, positions = y2 - y1, (x2 - x1) * (y2 - y1) + 1
    edge = np.repeat(np.arange(len(edges)), edges.counts)
    x = (edges.first - np.cumsum(edges.counts) + edges.counts)[edge] + np.arange(len(edge))
    sides = np.abs(edges.ends[:, 2:] - edges.ends[:, :2])
    along_x = (sides[:, 0] >= sides[:, 1])[edge]
    v = np.empty_like(x)
    v[along_x] = _cross_along_x(_ascending(edges.ends, axis=0)[edge[along_x]], x[along_x])
    v[~along_x] = _cross_along_y(_ascending(edges.ends, axis=1)[edge[~along_x]], x[~along_x])
    changes: IntArray = edges.ring[edge] * positions + (x - x1) * height + np.clip((v + 2) // FINE - y1, 0, height)
    return changes


def _cross_along_x(ends: IntArray, x: IntArray) -> IntArray:
    """Fine v at which edges (C, 4) with a grid point per step of x cross the columns x (C,).

    v is the upper of the two grid points, at 5 x + 2 and 5 x + 3.
    """
    xs, ys, xe, ye = ends.T
    slope = (ye - ys) / (xe - xs)
    step = FINE * x + 2 - xs
    left, right = ys + slope * step + 0.5, ys + slope * (step + 1) + 0.5
    upper: IntArray = np.trunc(np.minimum(left, right)).astype(np.int64)
    return upper


def _cross_along_y(ends: IntArray, x: IntArray) -> IntArray:
    """Fine v at which edges (C, 4) with a grid point per step of y cross the columns x (C,).

    v is the last grid point before the edge passes from 5 x + 2 to 5 x + 3 or back.
    """
    xs, ys, xe, ye = ends.T
    slope = (xe - xs) / (ye - ys)
    rightwards = slope > 0

    def has_passed(step: FloatArray) -> BoolArray:
        passed: BoolArray = (np.trunc(xs + slope * step + 0.5) >= FINE * x + 3) == rightwards
        return passed

    step = np.ceil((FINE * x + 2.5 - xs) / slope)
    # The division rounds otherwise than the rule's product does: the first step beyond may be one off either way.
    step = np.where(has_passed(step - 1), step - 1, np.where(has_passed(step), step, step + 1))
    last: IntArray = ys + step.astype(np.int64) - 1
    return last


def _ascending(edges: IntArray, axis: int) -> IntArray:
    """Edges turned so that they run forwards along an axis: both directions must give the same grid points."""
    backwards = edges[:, axis] > edges[:, axis + 2]
    return np.where(backwards[:, None], edges[:, [2, 3, 0, 1]], edges)


def _union(*runs: IntArray) -> IntArray:
    """Where the union of runs, each given as begin, end, begin, end ..., begins and ends."""
    starts, ends = (np.concatenate([part[i::2] for part in runs]) for i in (0, 1))
    events = np.concatenate([starts, ends])
    order = np.argsort(events, kind="stable")  # at one place first what begins, so that touching runs become one
    begins = order < len(starts)
    depth = np.cumsum(np.where(begins, 1, -1))
    bounds: IntArray = events[order][np.where(begins, depth == 1, depth == 0)]
    return bounds
