"""How sure a mean AP is: intervals by half-sampling over groups of images.

The AP of a random half of the groups, drawn without replacement, varies about the whole's as that does about the AP of
all images there could be: for a mean, the variance of a half is (1 - 1/2) s^2 / (n / 2) = s^2 / n. Drawing with
replacement would need copies of images, and leaving the copies out makes intervals a quarter too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskrcnn.evaluation.interval import Interval, Intervals
from maskrcnn.evaluation.matching import Matches
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray

NUM_HALVES = 200
"""Their standard deviation is known to a twentieth."""

FEWEST_GROUPS = 20
"""With fewer, intervals are too narrow, and none is given."""

NUM_THRESHOLDS = 10
"""T: of IoU, 0.5, 0.55 ... 0.95."""

LEVELS = np.linspace(0, 1, 101)
"""Of recall."""


@dataclass(frozen=True)
class ClassRanking:
    """The detections of one class over all images, best first.

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
        empty = np.zeros((NUM_THRESHOLDS, 0), bool)
        return cls(
            np.repeat([match.image for match in own], [len(match.scores) for match in own])[order].astype(np.int64),
            np.concatenate([empty, *(match.matched for match in own)], axis=1)[:, order],
            np.concatenate([empty, *(match.ignored for match in own)], axis=1)[:, order],
            truths,
        )

    def average_precision(self, chosen: BoolArray) -> FloatArray:
        """(T,) COCO's AP over the chosen (N,) images; NaN without an object in them."""
        total = int(self.truths[chosen].sum())
        if total == 0:
            return np.full(len(self.matched), np.nan)
        inside = chosen[self.images]
        matched, ignored = self.matched[:, inside], self.ignored[:, inside]
        found = np.cumsum(matched & ~ignored, axis=1)
        wrong = np.cumsum(~matched & ~ignored, axis=1)
        precision = found / np.maximum(found + wrong, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        return np.array([_mean_precision(f, b, total) for f, b in zip(found, best, strict=True)])


def _mean_precision(found: IntArray, best: FloatArray, total: int) -> float:
    """Over the levels of recall; 0 at those that are not reached."""
    places = np.searchsorted(found / total, LEVELS, side="left")
    return float(np.append(best, 0.0)[places].mean())


def rankings(matches: Sequence[Matches], num_images: int, num_classes: int) -> list[ClassRanking]:
    """Those of each class."""
    by_class: list[list[Matches]] = [[] for _ in range(num_classes)]
    for match in matches:
        by_class[match.label].append(match)
    return [ClassRanking.of(own, num_images) for own in by_class]


def random_halves(groups: IntArray, count: int = NUM_HALVES, seed: int = 0) -> BoolArray:
    """(count, N) for N images, which of them belong to each random half of the groups (N,)."""
    names, of_image = np.unique(groups, return_inverse=True)
    generator = np.random.default_rng(seed)
    half = np.arange(len(names)) < len(names) // 2
    return np.array([generator.permutation(half)[of_image] for _ in range(count)], bool).reshape(count, len(groups))


def sampled(ranked: Sequence[ClassRanking], halves: BoolArray) -> FloatArray:
    """(B, K, T) the AP of each half, class and threshold."""
    return np.array([[ranking.average_precision(half) for ranking in ranked] for half in halves])


def standard_error(values: FloatArray, groups: IntArray) -> float:
    """Of a number that is `values` (B,) on random halves; NaN where there are too few groups."""
    count = len(np.unique(groups))
    known = values[np.isfinite(values)]
    if count < FEWEST_GROUPS or len(known) < 2:
        return math.nan
    half = count // 2
    return float(known.std(ddof=1)) * math.sqrt(half / (count - half))


def mean_ap(values: FloatArray) -> FloatArray:
    """(...,) the mean over classes and thresholds (..., K, T) that could be computed."""
    flat = values.reshape(*values.shape[:-2], -1)
    known = np.isfinite(flat)
    counts = known.sum(axis=-1)
    sums = np.where(known, flat, 0.0).sum(axis=-1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


AP_NAMES = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
"""The summary's numbers over objects of all sizes, and their IoU thresholds among 0.5, 0.55 ... 0.95."""


def ap_intervals(matches: Sequence[Matches], groups: IntArray, num_classes: int, seed: int = 0) -> Intervals:
    """Intervals of AP, AP50 and AP75, and of each class's AP.

    Args:
        matches: of every image and class.
        groups: (N,) the group of each image: images of a group are alike, such as the frames of a film.
        num_classes: K.
        seed: of the halves.
    """
    ranked = rankings(matches, len(groups), num_classes)
    whole = sampled(ranked, np.ones((1, len(groups)), bool))[0]
    if len(np.unique(groups)) < FEWEST_GROUPS:
        parts = np.full((2, *whole.shape), np.nan)
    else:
        parts = sampled(ranked, random_halves(groups, seed=seed))
    return Intervals(
        {name: _interval(whole[:, at], parts[:, :, at], groups) for name, at in AP_NAMES.items()},
        tuple(_interval(whole[k : k + 1], parts[:, k : k + 1], groups) for k in range(num_classes)),
    )


def _interval(whole: FloatArray, parts: FloatArray, groups: IntArray) -> Interval:
    return Interval(float(mean_ap(whole)), standard_error(mean_ap(parts), groups))
