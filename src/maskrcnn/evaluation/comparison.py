"""Two results on the same images: how far they differ, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.evaluation.interval import FEWEST_GROUPS, Interval
from maskrcnn.evaluation.intervals import AP_NAMES, EVERY, NUM_HALVES, Halves, Sampled
from maskrcnn.evaluation.matching import Matches, per_image_metrics
from maskrcnn.evaluation.ranking import rankings
from maskrcnn.structures.masks import BoolArray, IntArray


@dataclass(frozen=True)
class Difference:
    """One number of both.

    Attributes:
        name: "AP", a class, or a slice.
        first: of A.
        second: of B.
        change: B - A, with the standard error of this difference: both were measured on the same halves.
    """

    name: str
    first: float
    second: float
    change: Interval

    @property
    def is_certain(self) -> bool:
        """Whether the 95 % interval of the change leaves out 0."""
        return self.change.low > 0 or self.change.high < 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; null for what could not be computed."""
        change = self.change
        values = {
            "A": self.first,
            "B": self.second,
            "difference": change.estimate,
            "standard_error": change.standard_error,
            "low": change.low,
            "high": change.high,
            "p": change.p_value,
        }
        known = {k: v if math.isfinite(v) else None for k, v in values.items()}
        return {"name": self.name, **known, "groups": change.groups}


@dataclass(frozen=True)
class ImageChange:
    """How one image went with A and with B: TP / (TP + FP + FN) at IoU 0.5."""

    image_id: int
    first: float
    second: float


@dataclass(frozen=True)
class Comparison:
    """Of one IoU type.

    Attributes:
        summary: AP, AP50, AP75.
        classes: the AP of each class that has objects.
        slices: the AP over parts of the images.
        images: all, the greatest change first.
        num_groups: of images.
        seed: of the halves.
    """

    summary: tuple[Difference, ...]
    classes: tuple[Difference, ...]
    slices: tuple[Difference, ...]
    images: tuple[ImageChange, ...]
    num_groups: int
    seed: int

    @property
    def verdict(self) -> str:
        """What can be said of the AP, in a sentence."""
        ap = self.summary[0]
        if ap.change.groups is not None and ap.change.groups < FEWEST_GROUPS:
            return (
                f"{ap.change.groups} groups of images with objects are too few to tell chance from difference: "
                f"{FEWEST_GROUPS} are needed"
            )
        if ap.change.estimate == 0 and ap.change.standard_error == 0:
            return "both found the same"
        margin = 1.96 * ap.change.standard_error
        if not ap.is_certain:
            return f"no difference can be told: {margin:.3f} of AP are within chance on this set"
        better = "B" if ap.change.estimate > 0 else "A"
        return f"{better} is better by {abs(ap.change.estimate):.3f} of AP, give or take {margin:.3f}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        parts = {"summary": self.summary, "classes": self.classes, "slices": self.slices}
        return {
            "verdict": self.verdict,
            **{name: [difference.to_dict() for difference in part] for name, part in parts.items()},
            "images": [{"image_id": i.image_id, "A": i.first, "B": i.second} for i in self.images],
            "settings": {
                "halves": NUM_HALVES,
                "groups": self.num_groups,
                "fewest_groups": FEWEST_GROUPS,
                "seed": self.seed,
            },
        }


def compare_matches(
    first: Sequence[Matches],
    second: Sequence[Matches],
    class_names: Sequence[str],
    image_ids: Sequence[int],
    groups: IntArray,
    slices: Mapping[str, BoolArray],
    score_thresholds: tuple[float, float] = (0.5, 0.5),
    seed: int = 0,
) -> Comparison:
    """Compare the matches of A and B, found in the same images.

    Args:
        first: of A; `second` of B.
        second: of B.
        class_names: K.
        image_ids: N.
        groups: (N,) the group of each image.
        slices: (N,) which images belong to a part of the set, by its name.
        score_thresholds: of A and of B, for the numbers per image.
        seed: of the halves.
    """
    halves = Halves.of(groups, seed)
    ranked = [rankings(matches, len(groups), len(class_names)) for matches in (first, second)]

    def measured(chosen: BoolArray | None = None) -> tuple[Sampled, Sampled]:
        """The APs of A and of B over these images, by default all."""
        return halves.measure(ranked[0], chosen), halves.measure(ranked[1], chosen)

    both = measured()
    summary = [_difference(name, *both, thresholds=at) for name, at in AP_NAMES.items()]
    classes = [_difference(name, *both, classes=slice(k, k + 1)) for k, name in enumerate(class_names)]
    found_slices = [_difference(name, *measured(chosen)) for name, chosen in slices.items()]
    a, b = (
        per_image_metrics(matches, image_ids, threshold)
        for matches, threshold in zip((first, second), score_thresholds, strict=True)
    )
    changes = [ImageChange(one.image_id, one.ap50, other.ap50) for one, other in zip(a, b, strict=True)]
    return Comparison(
        tuple(summary),
        tuple(row for row in classes if math.isfinite(row.first) or math.isfinite(row.second)),
        tuple(found_slices),
        tuple(sorted(changes, key=lambda change: -abs(change.second - change.first))),
        len(np.unique(groups)),
        seed,
    )


def _difference(name: str, a: Sampled, b: Sampled, classes: slice = EVERY, thresholds: slice = EVERY) -> Difference:
    (first, of_a), (second, of_b) = a.means(classes, thresholds), b.means(classes, thresholds)
    return Difference(name, first, second, a.around(second - first, of_b - of_a, classes))
