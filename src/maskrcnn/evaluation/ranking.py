"""Detections ranked by class, and COCO's AP of any choice of images from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskrcnn.evaluation.matching import Matches
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray

NUM_THRESHOLDS = 10
"""T: of IoU, 0.5, 0.55 ... 0.95."""

LEVELS = np.linspace(0, 1, 101)
"""Of recall."""

VALUES_AT_A_TIME = 1 << 17
"""Detections times halves: as many as stay in a processor's cache."""


@dataclass(frozen=True)
class ClassRanking:
    """The detections of one class over all images, best first, without those that never count.

    Attributes:
        images: (D,) which image each is in.
        matched: (T, D) met an object; `ignored` met a region that does not count.
        truths: (N,) objects to find in each image.
    """

    images: IntArray
    matched: BoolArray
    ignored: BoolArray
    truths: IntArray

    @classmethod
    def of(cls, matches: Sequence[Matches], num_images: int) -> ClassRanking:
        """From the matches of one class, image by image."""
        own = sorted(matches, key=lambda match: match.image)
        order = np.argsort(-np.concatenate([np.zeros(0), *(match.scores for match in own)]), kind="stable")
        truths = np.zeros(num_images, np.int64)
        for match in own:
            truths[match.image] += match.num_truths
        images = np.repeat([match.image for match in own], [len(match.scores) for match in own]).astype(np.int64)
        empty = np.zeros((NUM_THRESHOLDS, 0), bool)
        matched = np.concatenate([empty, *(match.matched for match in own)], axis=1)[:, order]
        ignored = np.concatenate([empty, *(match.ignored for match in own)], axis=1)[:, order]
        counts = ~ignored.all(axis=0)
        return cls(images[order][counts], matched[:, counts], ignored[:, counts], truths)

    def within(self, chosen: BoolArray) -> ClassRanking:
        """What lies in the chosen (N,) images."""
        inside = chosen[self.images]
        truths = np.where(chosen, self.truths, 0)
        return ClassRanking(self.images[inside], self.matched[:, inside], self.ignored[:, inside], truths)

    def average_precisions(self, choices: BoolArray) -> FloatArray:
        """(B, T) COCO's AP over each choice (B, N) of images; NaN without an object in them."""
        portion = max(1, VALUES_AT_A_TIME // max(len(self.images), 1))
        parts = [self._precisions(choices[i : i + portion]) for i in range(0, len(choices), portion)]
        return np.concatenate([np.zeros((0, len(self.matched))), *parts])

    def _precisions(self, choices: BoolArray) -> FloatArray:
        totals = choices @ self.truths
        found = np.full((len(choices), len(self.matched)), np.nan)
        if not totals.any():
            return found
        right = self.matched & ~self.ignored
        weights = _weights(totals, int(right.sum(axis=1).max()))
        inside = choices[:, self.images]
        for t, ignored in enumerate(self.ignored):
            same = t > 0 and (ignored == self.ignored[t - 1]).all()
            if not same:
                counted = inside & ~ignored
                places = np.cumsum(counted, axis=1, dtype=np.int32)
            if same and (right[t] == right[t - 1]).all():
                found[:, t] = found[:, t - 1]
            else:
                hits = np.flatnonzero(right[t])
                found[:, t] = _average_precision(counted[:, hits], places[:, hits], weights)
        found[totals == 0] = np.nan
        return found


def _average_precision(right: BoolArray, places: npt.NDArray[np.int32], weights: IntArray) -> FloatArray:
    """(B,) the mean over levels of recall of the best precision from there on; 0 at those that are not reached.

    Precision falls with every detection that is no hit, so it is enough to look at the hits.

    Args:
        right: (B, H) which hits are in each choice, best first.
        places: (B, H) how many detections there are up to each.
        weights: (B, most + 1) for how many levels the first, second, ... hit of a choice counts.
    """
    found = np.cumsum(right, axis=1, dtype=np.int32)
    precision = found / np.maximum(places, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    values: FloatArray = np.einsum("bh,bh->b", best, np.take_along_axis(weights, found, axis=1) * right)
    return values / len(LEVELS)


def _weights(totals: IntArray, most: int) -> IntArray:
    """(B, most + 1) how many levels of recall need 0, 1 ... of the objects (B,), each at least one."""
    total = np.maximum(totals, 1)[:, None]
    needed = np.ceil(LEVELS * total)
    needed -= (needed - 1) / total >= LEVELS  # the product may be rounded to either side
    needed += needed / total < LEVELS
    columns = np.clip(needed, 1, most + 1).astype(np.int64)
    places = columns + np.arange(len(totals))[:, None] * (most + 2)
    counts = np.bincount(places.reshape(-1), minlength=len(totals) * (most + 2))
    return counts.reshape(len(totals), most + 2)[:, : most + 1]


def rankings(matches: Sequence[Matches], num_images: int, num_classes: int) -> list[ClassRanking]:
    """Those of each class."""
    by_class: list[list[Matches]] = [[] for _ in range(num_classes)]
    for match in matches:
        by_class[match.label].append(match)
    return [ClassRanking.of(own, num_images) for own in by_class]


def sampled(ranked: Sequence[ClassRanking], choices: BoolArray) -> FloatArray:
    """(B, K, T) the AP of each choice (B, N) of images, class and threshold."""
    return np.stack([ranking.average_precisions(choices) for ranking in ranked], axis=1)


def mean_ap(values: FloatArray) -> FloatArray:
    """(...,) the mean over classes and thresholds (..., K, T) that could be computed."""
    known = np.isfinite(values)
    counts = known.sum(axis=(-2, -1))
    sums = np.where(known, values, 0.0).sum(axis=(-2, -1))
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
