"""How many pixels masks share, from their runs."""

from __future__ import annotations

import numpy as np

from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.structures.masks import IntArray


def shared_pixels(first: ColumnRuns, second: ColumnRuns, pairs: IntArray, height: int) -> IntArray:
    """(P,) how many pixels the masks of each pair share.

    Args:
        first: masks in a frame.
        second: masks in the same frame.
        pairs: (P, 2) the number of a mask of the first and of one of the second.
        height: of the frame.
    """
    own, other = first[pairs[:, 0]], second[pairs[:, 1]]
    columns = [runs.columns.max(initial=0) for runs in (own, other)]
    frame = (int(max(columns)) + 1) * height
    starts, ends = _places(other, frame, height)
    lengths = ends - starts
    before = np.concatenate([[0, 0], np.cumsum(lengths)])
    starts, lengths = np.append(-1, starts), np.append(0, lengths)

    def covered(places: IntArray) -> IntArray:
        """How many pixels of the second masks come before each place."""
        run = np.searchsorted(starts, places, side="right") - 1
        return np.asarray(before[run] + np.minimum(places - starts[run], lengths[run]))

    own_starts, own_ends = _places(own, frame, height)
    shared = np.concatenate([[0], np.cumsum(covered(own_ends) - covered(own_starts))])
    return np.asarray(np.diff(shared[own.offsets]))


def pixels_inside(masks: ColumnRuns, region: ColumnRuns, height: int) -> IntArray:
    """(D,) how many pixels of each mask lie in a region, one mask in the same frame or none; `height` of the frame."""
    starts, ends = region.flat(height)
    lengths = ends - starts
    past = np.cumsum(lengths)
    # How much of the region comes before a place grows within its runs alone, by one with each pixel.
    places, before = np.stack([starts, ends], axis=1).reshape(-1), np.stack([past - lengths, past], axis=1).reshape(-1)
    own_starts, own_ends = masks.flat(height)
    inside = np.zeros(len(own_starts) + 1)
    if len(places):
        inside[1:] = np.cumsum(np.interp(own_ends, places, before) - np.interp(own_starts, places, before))
    return np.diff(inside[masks.offsets]).astype(np.int64)


def _places(masks: ColumnRuns, frame: int, height: int) -> tuple[IntArray, IntArray]:
    """Starts and ends of the runs where each mask has a frame of its own, one after the other."""
    of_run = np.repeat(np.arange(len(masks)), np.diff(masks.offsets))
    columns = of_run * frame + masks.columns * height
    return columns + masks.tops, columns + masks.bottoms
