"""A number and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FEWEST_GROUPS = 20
"""Of images with objects of the kind that is measured: with fewer, intervals are too narrow, and none is given."""

_95_PERCENT = 1.96


@dataclass(frozen=True)
class Interval:
    """A number with its standard error; the 95 % interval is 1.96 of these to both sides.

    Attributes:
        estimate: of all images.
        standard_error: NaN where there are too few groups.
        groups: of images, those that have objects of the kind that is measured; None: nobody asked how sure it is.
    """

    estimate: float
    standard_error: float
    groups: int | None = None

    @property
    def has_too_few_groups(self) -> bool:
        """Whether this is why a number that is known has no interval."""
        return math.isfinite(self.estimate) and self.groups is not None and self.groups < FEWEST_GROUPS

    @property
    def margin(self) -> float:
        """How far the 95 % interval reaches to either side."""
        return _95_PERCENT * self.standard_error

    @property
    def low(self) -> float:
        """Of the 95 % interval; so is `high`."""
        return self.estimate - self.margin

    @property
    def high(self) -> float:
        return self.estimate + self.margin

    def bounds(self) -> list[float] | None:
        """[low, high]; None where they are not known."""
        return [self.low, self.high] if math.isfinite(self.low) else None

    @property
    def p_value(self) -> float:
        """How likely a number at least so far from 0 would be if it were 0, by the normal distribution."""
        if not self.standard_error > 0:
            return math.nan if math.isnan(self.standard_error) or self.estimate == 0 else 0.0
        return math.erfc(abs(self.estimate) / self.standard_error / math.sqrt(2))


@dataclass(frozen=True)
class Intervals:
    """Of one IoU type: of the summary's numbers by name, and of AP, AP50 and AP75 of each class."""

    summary: Mapping[str, Interval]
    classes: tuple[Mapping[str, Interval], ...]

    def to_dict(self) -> dict[str, Any]:
        """[low, high] of the summary's numbers, JSON-able; null where they are not known."""
        return bounds_of(self.summary)


def bounds_of(numbers: Mapping[str, Interval]) -> dict[str, list[float] | None]:
    """[low, high] by name, JSON-able; null where they are not known."""
    return {name: one.bounds() for name, one in numbers.items()}
