"""Where two tiles overlap: which of their pieces are the same object seen twice, and which are parts of one.

Each answer depends on the two pieces alone, never on what became of others, so that neither the order of the tiles nor
how many are held at once changes a result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskrcnn.large.pieces import CUT, Pieces
from maskrcnn.masks.rle import Window
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray

SAME = 0.5
"""Two pieces are one object when they share more than this: of the smaller one's pixels, if one of them is whole; of
the pixels that either has where their tiles overlap, if both are cut."""


@dataclass(frozen=True, eq=False)
class Relation:
    """Between the pieces of two tiles.

    Attributes:
        worse: the pieces of the first and of the second tile that the other has better.
        parts: (E, 2) int64 pairs, one of each tile, that are parts of one object.
    """

    worse: tuple[IntArray, IntArray]
    parts: IntArray


def relate(first: Pieces, second: Pieces, common: Window) -> Relation:
    """Compare the pieces of two tiles.

    Args:
        first: of the tile that comes first in the grid: it wins where both are equally good.
        second: of the other one.
        common: the pixels that both tiles see, x1, y1, x2, y2.
    """
    pairs = _candidates(first, second, common)
    i, j = pairs.T
    both_cut = (first.trust[i] == CUT) & (second.trust[j] == CUT)
    shares = np.array([_share(first, i, second, j, common) for i, j in pairs.tolist()]).reshape(-1)
    same, parts = pairs[(shares > SAME) & ~both_cut], pairs[(shares > SAME) & both_cut]
    second_wins = _better(second, same[:, 1], first, same[:, 0])
    return Relation((np.unique(same[second_wins, 0]), np.unique(same[~second_wins, 1])), parts)


def _better(these: Pieces, i: IntArray, others: Pieces, j: IntArray) -> BoolArray:
    """By trust, then by score."""
    more_trusted, as_trusted = these.trust[i] < others.trust[j], these.trust[i] == others.trust[j]
    return np.asarray(more_trusted | (as_trusted & (these.scores[i] > others.scores[j])))


def _candidates(first: Pieces, second: Pieces, common: Window) -> IntArray:
    """(E, 2) pairs of one class whose boxes leave room for what makes them the same."""
    here, there = _meeting(first.boxes, common), _meeting(second.boxes, common)
    a, b = first.boxes[here][:, None], second.boxes[there][None]
    room = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + 2, 0, None).prod(axis=2)
    cut = (first.trust[here] == CUT)[:, None] & (second.trust[there] == CUT)
    smaller = np.minimum(first.areas[here][:, None], second.areas[there])
    possible = (room > np.where(cut, 0, SAME * smaller)) & (first.labels[here][:, None] == second.labels[there])
    i, j = np.nonzero(possible)
    return np.stack([here[i], there[j]], axis=1)


def _meeting(boxes: FloatArray, window: Window) -> IntArray:
    meets = (boxes[:, :2] < window[2:]) & (boxes[:, 2:] > window[:2])
    return np.flatnonzero(meets.all(axis=1))


def _share(first: Pieces, i: int, second: Pieces, j: int, common: Window) -> float:
    """Of the smaller one where one is whole, by all of it; of both together, in `common`, where both are cut."""
    shared = _shared(first, i, second, j, common)
    if first.trust[i] == CUT and second.trust[j] == CUT:
        either = first.area_in(i, common) + second.area_in(j, common) - shared
        return shared / max(either, 1e-9)
    return shared / max(float(min(first.areas[i], second.areas[j])), 1e-9)


def _shared(first: Pieces, i: int, second: Pieces, j: int, common: Window) -> float:
    """Pixels of both masks inside the window; area of both boxes, without masks."""
    a, b = first.boxes[i], second.boxes[j]
    low = np.maximum(np.maximum(a[:2], b[:2]), common[:2])
    high = np.minimum(np.minimum(a[2:], b[2:]), common[2:])
    if first.runs is None or second.runs is None:
        return float(np.maximum(high - low, 0).prod())
    (x1, y1), (x2, y2) = np.floor(low).astype(int) - 1, np.ceil(high).astype(int) + 1  # a mask may round outwards
    window = (int(x1), int(y1), int(max(x1, x2)), int(max(y1, y2)))
    return int(np.count_nonzero(first.runs.crop(i, window) & second.runs.crop(j, window)))
