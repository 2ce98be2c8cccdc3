"""Pairs of masks that share pixels, and how many; what cannot overlap enough is left out by windows and areas alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from maskrcnn.evaluation.scenes import Scene
from maskrcnn.masks.shared_pixels import shared_pixels
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray

CELLS_AT_A_TIME = 1 << 20
"""Of the table of all pairs: bounds its memory."""


@dataclass(frozen=True)
class Pairs:
    """P pairs of a mask that was found and a true one of its class, in one image.

    They come by rising number of what was found, best score first, and then of what is true.

    Attributes:
        found: (P,) numbers.
        true: (P,) numbers.
        shared: (P,) pixels.
        ious: (P,) intersection over union; of an ignored region over what was found, as COCO has it for crowds.
    """

    found: IntArray
    true: IntArray
    shared: IntArray
    ious: FloatArray

    def __getitem__(self, chosen: BoolArray) -> Pairs:
        return Pairs(self.found[chosen], self.true[chosen], self.shared[chosen], self.ious[chosen])

    def with_ious(self, ious: FloatArray) -> Pairs:
        """With another measure of overlap."""
        return replace(self, ious=ious)


def pairs_of(scene: Scene, least: float = 0.0) -> Pairs:
    """The pairs of an image that share a pixel and have an IoU of at least so much."""
    found, true = scene.found, scene.true
    rows = max(1, CELLS_AT_A_TIME // max(len(true), 1))
    parts = [_candidates(scene, start, start + rows, least) for start in range(0, len(found), rows)]
    candidates = np.concatenate([np.zeros((0, 2), np.int64), *parts])
    shared = shared_pixels(found.masks, true.masks, candidates, scene.size[0])
    pairs = Pairs(candidates[:, 0], candidates[:, 1], shared, _ious(scene, candidates, shared))
    return pairs[(shared > 0) & (pairs.ious >= least)]


def _candidates(scene: Scene, start: int, end: int, least: float) -> IntArray:
    """(P, 2) pairs of what was found from `start` to `end` that may share enough."""
    found, true = scene.found, scene.true
    ours, theirs = found.windows[start:end, None], true.windows[None]
    sides = np.minimum(ours[..., 2:], theirs[..., 2:]) - np.maximum(ours[..., :2], theirs[..., :2])
    near = (found.labels[start:end, None] == true.labels) & (sides > 0).all(axis=2)
    pairs = np.argwhere(near)
    windows = sides[near].prod(axis=1)
    pairs[:, 0] += start
    most = np.minimum(windows, np.minimum(found.pixels[pairs[:, 0]], true.pixels[pairs[:, 1]]))
    return np.asarray(pairs[_ious(scene, pairs, most) >= least])


def _ious(scene: Scene, pairs: IntArray, shared: IntArray) -> FloatArray:
    """(P,) of pairs (P, 2) that share so many pixels."""
    found, true = scene.found.pixels[pairs[:, 0]], scene.true.pixels[pairs[:, 1]]
    return shared / np.where(scene.true.ignored[pairs[:, 1]], found, found + true - shared)
