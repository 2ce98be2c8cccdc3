"""COCO's matching for IoUs of any kind, over the few pairs that can match at all.

Best score first, each detection takes the free object of its class that it overlaps most, if by the threshold; objects
that do not count come last, and a crowd can be taken again and again.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from maskrcnn.evaluation.pairs import Pairs
from maskrcnn.structures.masks import BoolArray, FloatArray

THRESHOLDS: FloatArray = np.minimum(np.linspace(0.5, 0.95, 10), 1 - 1e-10)
"""(T,) of IoU, as pycocotools has them to the last bit."""


def match(pairs: Pairs, num_found: int, ignored: BoolArray, crowds: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Which detections meet an object, and which of these meet one that does not count.

    Args:
        pairs: of one image.
        num_found: D.
        ignored: (G,) objects that do not count.
        crowds: (G,) those of them that can be met more than once.

    Returns:
        Two of (T, D).
    """
    pairs = pairs[pairs.ious >= THRESHOLDS[0]]
    matched, of_no_count = np.zeros((2, len(THRESHOLDS), num_found), bool)
    alone = (np.bincount(pairs.found, minlength=num_found)[pairs.found] == 1) & (
        np.bincount(pairs.true, minlength=len(ignored))[pairs.true] == 1
    )
    simple = pairs[alone]  # they have nobody to compete with
    matched[:, simple.found] = simple.ious >= THRESHOLDS[:, None]
    of_no_count[:, simple.found] = matched[:, simple.found] & ignored[simple.true]
    _compete(pairs[~alone], ignored, crowds, matched, of_no_count)
    return matched, of_no_count


def _compete(pairs: Pairs, ignored: BoolArray, crowds: BoolArray, matched: BoolArray, of_no_count: BoolArray) -> None:
    free = np.ones((len(THRESHOLDS), len(ignored)), bool)
    bounds = np.flatnonzero(np.diff(pairs.found, prepend=-1, append=-1))
    for start, end in pairwise(bounds.tolist()):
        found, true, ious = pairs.found[start], pairs.true[start:end], pairs.ious[start:end]
        can = (free[:, true] | crowds[true]) & (ious >= THRESHOLDS[:, None])  # (T, n)
        counts = can & ~ignored[true]
        # Of objects that count, and else of those that do not, the one it overlaps most; of equals the last.
        can = np.where(counts.any(axis=1, keepdims=True), counts, can)
        taken = len(true) - 1 - np.argmax(np.where(can, ious, -1.0)[:, ::-1], axis=1)
        levels = np.flatnonzero(can.any(axis=1))
        taken = true[taken[levels]]
        free[levels, taken] = False
        matched[levels, found] = True
        of_no_count[levels, found] = ignored[taken]
