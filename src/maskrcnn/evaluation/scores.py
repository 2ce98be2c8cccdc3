"""What a metric beside COCO's says, in the form in which tables, `metrics.json` and the report show it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from maskrcnn.evaluation.interval import Interval, bounds_of


@dataclass(frozen=True)
class Scores:
    """The numbers of one metric.

    Attributes:
        key: its name in `metrics.json`.
        title: its name for people.
        note: what it is, in a sentence or two.
        numbers: by name, those of the whole data set.
        classes: the same of each class, where the metric tells classes apart, by the name of the class.
    """

    key: str
    title: str
    note: str
    numbers: Mapping[str, Interval]
    classes: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        """One number."""
        return self.numbers[name].estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; null for what could not be computed."""
        rows = [{"name": name, **_numbers(own)} for name, own in self.classes.items()]
        return {**_numbers(self.numbers), **({"per_class": rows} if rows else {})}


def _numbers(numbers: Mapping[str, Interval]) -> dict[str, Any]:
    values = {name: one.estimate if math.isfinite(one.estimate) else None for name, one in numbers.items()}
    return {**values, "intervals": bounds_of(numbers)}
