"""Masks without their rim, from their runs: no frame is built, however large it is."""

from __future__ import annotations

import numpy as np

from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.structures.masks import IntArray

Spans = tuple[IntArray, IntArray]
"""Starts and ends of spans in rising order; none overlaps another."""


def eroded(masks: ColumnRuns, distance: int, height: int) -> ColumnRuns:
    """What of each mask is more than `distance` pixels away from all that is outside of it.

    A step to any of the eight neighbours is one pixel, so that this is erosion by a square of side 2 * distance + 1.
    Beyond the edges of the frame is outside.

    Args:
        masks: D masks in a frame.
        distance: pixels.
        height: of the frame.
    """
    runs = _whole_runs(masks)
    tops, bottoms = runs.tops + distance, runs.bottoms - distance
    kept = tops < bottoms
    # Each mask in columns of its own, so far apart that what is shifted never meets another one.
    of_run = np.repeat(np.arange(len(masks)), np.diff(runs.offsets))[kept]
    width = int(runs.columns.max(initial=0)) + 2 * distance + 2
    columns = of_run * width + runs.columns[kept]
    starts, ends = _of_all_columns((columns * height + tops[kept], columns * height + bottoms[kept]), distance, height)
    of_run, columns = np.divmod(starts // height, width)
    tops, sizes = starts % height, np.bincount(of_run, minlength=len(masks))
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return ColumnRuns(columns, tops, tops + ends - starts, offsets)


def _of_all_columns(spans: Spans, distance: int, height: int) -> Spans:
    """What is in every column from `distance` to the left up to as many to the right.

    What n neighbouring columns share, intersected with the same n columns on, is what 2 n share.
    """
    side, together = 2 * distance + 1, 1
    while 2 * together <= side:
        spans, together = _intersection(spans, _shifted(spans, -together * height)), 2 * together
    spans = _intersection(spans, _shifted(spans, -(side - together) * height))
    return _shifted(spans, distance * height)


def _shifted(spans: Spans, by: int) -> Spans:
    return spans[0] + by, spans[1] + by


def _intersection(first: Spans, second: Spans) -> Spans:
    low = np.searchsorted(second[1], first[0], side="right")
    high = np.searchsorted(second[0], first[1], side="left")
    counts = np.maximum(high - low, 0)
    before = np.cumsum(counts) - counts
    partner = np.arange(counts.sum()) + np.repeat(low - before, counts)
    starts = np.maximum(np.repeat(first[0], counts), second[0][partner])
    return starts, np.minimum(np.repeat(first[1], counts), second[1][partner])


def _whole_runs(masks: ColumnRuns) -> ColumnRuns:
    """The same masks, runs that touch in a column made one."""
    first = np.zeros(len(masks.columns), bool)
    first[masks.offsets[:-1][np.diff(masks.offsets) > 0]] = True
    begins = (
        first
        | np.append(True, (masks.columns[1:] != masks.columns[:-1]) | (masks.tops[1:] > masks.bottoms[:-1]))[
            : len(first)
        ]
    )
    last = np.append(begins[1:], True)[: len(first)]
    before = np.concatenate([[0], np.cumsum(begins)]).astype(np.int64)
    return ColumnRuns(masks.columns[begins], masks.tops[begins], masks.bottoms[last], before[masks.offsets])
