"""Boundary AP (Cheng et al. 2021): how well outlines are met, which the IoU of large masks hardly tells.

The boundary of a mask are its pixels that are at most d away from what is outside of it, or from the image's edge; d is
0.02 of the image's diagonal. In COCO's matching the smaller of two IoUs counts, that of the masks and that of their
boundaries; for crowds that of the masks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from maskrcnn.evaluation.greedy import THRESHOLDS, match
from maskrcnn.evaluation.intervals import Halves, ap_intervals
from maskrcnn.evaluation.matching import Matches
from maskrcnn.evaluation.pairs import Pairs, pairs_of
from maskrcnn.evaluation.scenes import Scene
from maskrcnn.evaluation.scores import Scores
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.erosion import eroded
from maskrcnn.masks.shared_pixels import shared_pixels
from maskrcnn.structures import Size
from maskrcnn.structures.masks import FloatArray, IntArray

DILATION_RATIO = 0.02

RANGES = {"AP": (0.0, 1e10), "APs": (0.0, 32.0**2), "APm": (32.0**2, 96.0**2), "APl": (96.0**2, 1e10)}
"""COCO's areas in pixels, by the name of the AP."""

NOTE = (
    "Masks match by the smaller of two IoUs, that of all their pixels and that of the pixels near their outlines (2 % "
    "of the image's diagonal): rough outlines of large objects show here, and hardly in AP (Cheng et al. 2021)."
)


def boundary_width(size: Size) -> int:
    """How many pixels d are in an image of (height, width)."""
    return max(1, round(DILATION_RATIO * math.sqrt(size[0] ** 2 + size[1] ** 2)))


class BoundaryAP:
    """COCO's six APs with the boundary.

    Args:
        class_names: K.
        limit: detections that count per image and class.
    """

    def __init__(self, class_names: Sequence[str], limit: int) -> None:
        self.class_names, self.limit = class_names, limit
        self.matches: dict[str, list[Matches]] = {name: [] for name in RANGES}

    def add(self, scene: Scene) -> None:
        """Match the masks of an image."""
        best = scene.best(self.limit)
        pairs = pairs_of(best, THRESHOLDS[0])
        pairs = pairs.with_ious(np.minimum(pairs.ious, boundary_ious(best, pairs)))
        for name, bounds in RANGES.items():
            self.matches[name].extend(_matches(best, pairs, bounds))

    def scores(self, halves: Halves) -> Scores:
        """What the matches come to."""
        of_all, *_ = self.matches
        sizes = {name: own for name, own in self.matches.items() if name != of_all}
        found = ap_intervals(self.matches[of_all], halves, len(self.class_names), sizes)
        classes = {
            name: own
            for name, own in zip(self.class_names, found.classes, strict=True)
            if math.isfinite(own["AP"].estimate)
        }
        return Scores("boundary", "boundary AP", NOTE, found.summary, classes)


def boundary_ious(scene: Scene, pairs: Pairs) -> FloatArray:
    """(P,) IoU of the boundaries of each pair; 1 for crowds."""
    width, height = boundary_width(scene.size), scene.size[0]
    found, ours = _in_pairs(scene.found.masks, pairs.found)
    true, theirs = _in_pairs(scene.true.masks, pairs.true)
    numbers = np.stack([ours, theirs], axis=1)
    inner_found, inner_true = eroded(found, width, height), eroded(true, width, height)
    shared = (
        pairs.shared
        - shared_pixels(inner_found, true, numbers, height)
        - shared_pixels(found, inner_true, numbers, height)
        + shared_pixels(inner_found, inner_true, numbers, height)
    )
    sizes = (found.areas() - inner_found.areas())[ours] + (true.areas() - inner_true.areas())[theirs]
    return np.where(scene.true.ignored[pairs.true], 1.0, shared / np.maximum(sizes - shared, 1))


def _in_pairs(masks: ColumnRuns, numbers: IntArray) -> tuple[ColumnRuns, IntArray]:
    """The masks that are in any pair, and their places among these."""
    kept, places = np.unique(numbers, return_inverse=True)
    return masks[kept], places


def _matches(scene: Scene, pairs: Pairs, bounds: Sequence[float]) -> Iterator[Matches]:
    """Class by class; objects outside the range of areas are ignored, and detections outside that meet none."""
    low, high = bounds
    found, true = scene.found, scene.true
    ignored = true.ignored | (true.areas < low) | (true.areas > high)
    matched, of_no_count = match(pairs, len(found), ignored, true.ignored)
    of_no_count |= ~matched & ((found.areas < low) | (found.areas > high))
    for label in np.union1d(found.labels, true.labels).tolist():
        own = found.labels == label
        truths = int(((true.labels == label) & ~ignored).sum())
        yield Matches(scene.image, label, found.scores[own], matched[:, own], of_no_count[:, own], truths)
