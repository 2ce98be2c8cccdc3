"""How sure a mean AP is: intervals by half-sampling over groups of images.

The AP of a random half of the groups, drawn without replacement, varies about the whole's as that does about the AP of
all images there could be: for a mean, the variance of a half is (1 - 1/2) s^2 / (n / 2) = s^2 / n. Drawing with
replacement would need copies of images, and leaving the copies out makes intervals a quarter too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maskrcnn.evaluation.interval import FEWEST_GROUPS, Interval, Intervals
from maskrcnn.evaluation.matching import Matches
from maskrcnn.evaluation.ranking import ClassRanking, mean_ap, rankings, sampled
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray

NUM_HALVES = 200
"""Their standard deviation is known to a twentieth."""

AP_NAMES = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
"""The numbers over objects of all sizes, and their IoU thresholds among 0.5, 0.55 ... 0.95."""

Classes = slice | IntArray
"""Which of the classes."""

EVERY = slice(None)

NOBODY = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Sampled:
    """AP of a choice of images, and of the halves of it.

    Attributes:
        whole: (K, T) by class and threshold.
        parts: (B, K, T).
        holders: K arrays, the groups of images with objects of each class; a group may come more than once.
        halves: of the images.
    """

    whole: FloatArray
    parts: FloatArray
    holders: Sequence[IntArray]
    halves: Halves

    def interval(self, classes: Classes = EVERY, thresholds: slice = EVERY) -> Interval:
        """Of the mean over some classes and thresholds."""
        return self.around(*self.means(classes, thresholds), classes)

    def around(self, estimate: float, values: FloatArray, classes: Classes = EVERY) -> Interval:
        """Of a number of some classes that is `values` (B,) on the halves."""
        own = [self.holders[k] for k in np.arange(len(self.holders))[classes]]
        return self.halves.around(estimate, values, np.concatenate([NOBODY, *own]))

    def means(self, classes: Classes = EVERY, thresholds: slice = EVERY) -> tuple[float, FloatArray]:
        """The mean of the whole, and (B,) those of the halves."""
        return float(mean_ap(self.whole[classes][:, thresholds])), mean_ap(self.parts[:, classes][:, :, thresholds])


@dataclass(frozen=True)
class Halves:
    """Random halves of groups of images.

    Attributes:
        groups: (N,) the group of each image: images of a group are alike, such as the frames of a film.
        chosen: (B, N) which images belong to each half; none, B = 0, where there are too few groups.
    """

    groups: IntArray
    chosen: BoolArray

    @classmethod
    def of(cls, groups: IntArray, seed: int = 0) -> Halves:
        """As many as are usual."""
        return cls(groups, random_halves(groups, NUM_HALVES if enough(groups) else 0, seed))

    def measure(self, ranked: Sequence[ClassRanking], within: BoolArray | None = None) -> Sampled:
        """The AP of K classes over the images within (N,), by default all."""
        inside = np.ones(len(self.groups), bool) if within is None else within
        own = ranked if within is None else [ranking.within(within) for ranking in ranked]
        holders = [self.groups[ranking.truths > 0] for ranking in own]
        return Sampled(sampled(own, inside[None])[0], sampled(own, self.chosen), holders, self)

    def around(self, estimate: float, values: FloatArray, holders: IntArray) -> Interval:
        """Of a number that is `values` (B,) on the halves; it is about the groups `holders` alone."""
        count = len(np.unique(holders))
        return Interval(estimate, standard_error(values, count, len(np.unique(self.groups))), count)

    def mean(self, values: FloatArray) -> Interval:
        """Of the mean of a number (N,) of each image, those that have one; NaN where none has."""
        known = np.isfinite(values)
        return self.ratio(np.where(known, values, 0.0), known.astype(np.float64))

    def ratio(self, parts: FloatArray, wholes: FloatArray) -> Interval:
        """Of the sum of the images' `parts` (N,) over that of their `wholes` (N,); NaN where these are 0."""
        totals = self.chosen @ wholes
        values = np.divide(self.chosen @ parts, totals, out=np.full(len(totals), np.nan), where=totals > 0)
        whole = float(wholes.sum())
        return self.around(float(parts.sum()) / whole if whole else math.nan, values, self.groups[wholes > 0])


def enough(groups: IntArray) -> bool:
    """Whether an interval can be given."""
    return len(np.unique(groups)) >= FEWEST_GROUPS


def random_halves(groups: IntArray, count: int = NUM_HALVES, seed: int = 0) -> BoolArray:
    """(count, N) for N images, which of them belong to each random half of the groups (N,)."""
    names, of_image = np.unique(groups, return_inverse=True)
    generator = np.random.default_rng(seed)
    half = np.arange(len(names)) < len(names) // 2
    return np.array([generator.permutation(half)[of_image] for _ in range(count)], bool).reshape(count, len(groups))


def standard_error(values: FloatArray, holders: int, num_groups: int) -> float:
    """Of a number that is `values` (B,) on random halves of so many groups; NaN where too few hold what it is about.

    The others tell nothing of it: the AP of objects that lie in one group is the same in each half that has them.
    """
    known = values[np.isfinite(values)]
    if holders < FEWEST_GROUPS or len(known) < 2:
        return math.nan
    half = num_groups // 2
    return float(known.std(ddof=1)) * math.sqrt(half / (num_groups - half))


def ap_intervals(
    matches: Sequence[Matches],
    halves: Halves,
    num_classes: int,
    sizes: Mapping[str, Sequence[Matches]] | None = None,
    kinds: Mapping[str, IntArray] | None = None,
) -> Intervals:
    """Intervals of AP, AP50 and AP75, over all classes and for each, and of the AP of objects of some size.

    Args:
        matches: of every image and class.
        halves: of the images.
        num_classes: K.
        sizes: by the name of the AP, the matches over objects of one size.
        kinds: by the name of the AP, the classes that it is about.
    """
    num_images = len(halves.groups)
    of_all = halves.measure(rankings(matches, num_images, num_classes))
    of_sizes = {
        name: halves.measure(rankings(own, num_images, num_classes)).interval() for name, own in (sizes or {}).items()
    }
    of_kinds = {name: of_all.interval(labels) for name, labels in (kinds or {}).items()}
    return Intervals(
        {**{name: of_all.interval(thresholds=at) for name, at in AP_NAMES.items()}, **of_sizes, **of_kinds},
        tuple(
            {name: of_all.interval(slice(k, k + 1), at) for name, at in AP_NAMES.items()} for k in range(num_classes)
        ),
    )
