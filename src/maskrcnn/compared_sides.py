"""The two sides of a comparison: which images both have looked at, and what is to be known about the numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskrcnn.data.coco import LabelledImages
from maskrcnn.errors import UserError
from maskrcnn.evaluation.coco import result_warnings
from maskrcnn.evaluation.doubts import doubts_of
from maskrcnn.evaluation.metrics import IouType, Metrics
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.scoring import kinds_in
from maskrcnn.text import counted

LETTERS = ("A", "B")


@dataclass(frozen=True)
class Side:
    """A or B.

    Attributes:
        results: a file of COCO results.
        name: what it is called.
        metrics: what `evaluate` said of the model that found them; None: nobody knows where they come from.
    """

    results: Path
    name: str
    metrics: Metrics | None = None

    @property
    def seen(self) -> frozenset[int] | None:
        """Ids of the images that were looked at; None: nobody knows."""
        if self.metrics is None:
            return None
        return frozenset(image.image_id for numbers in self.metrics.by_type.values() for image in numbers.images)

    def kinds(self, results: Any) -> Collection[IouType]:
        """What can be compared of its results."""
        return kinds_in(results) if self.metrics is None else self.metrics.by_type.keys()


def seen_by_both(truth: GroundTruth, sides: Sequence[Side]) -> GroundTruth:
    """The images that no side has left out.

    Raises:
        UserError: none is left.
    """
    seen = [side.seen for side in sides]
    images = {i: number for i, number in truth.images.items() if all(ids is None or i in ids for ids in seen)}
    if not images:
        raise UserError(f"{truth.source}: expected an image that both have looked at, got none")
    return replace(truth, images=images)


def comparison_warnings(
    data: LabelledImages,
    truth: GroundTruth,
    sides: Sequence[Side],
    results: Sequence[Sequence[Result]],
    notes: Sequence[Sequence[str]],
    max_detections: int,
    kinds: Sequence[IouType],
) -> list[str]:
    """What makes the numbers other than they seem, a line each; those about one side begin with its letter.

    Args:
        data: the labels.
        truth: of the images that are compared.
        sides: A and B.
        results: theirs, in these images.
        notes: how they were joined with the labels.
        max_detections: per image and class, those that count.
        kinds: that are compared.
    """
    faults = data.report.faults()
    first, second = (
        [
            *lines,
            *(line for line in (side.metrics.warnings if side.metrics else ()) if line not in faults),
            *result_warnings(truth, found, max_detections, kinds),
            *(doubts_of(found, truth, kinds) if side.metrics is None else ()),
        ]
        for side, found, lines in zip(sides, results, notes, strict=True)
    )
    common = [line for line in first if line in second]
    of_one = [
        f"{letter}: {line}"
        for letter, own in zip(LETTERS, (first, second), strict=True)
        for line in own
        if line not in common
    ]
    return list(dict.fromkeys([*faults, *common, *of_one, *_left_out(data, truth)]))


def _left_out(data: LabelledImages, truth: GroundTruth) -> list[str]:
    missing = len(data.labels) - len(truth.images)
    return [f"left out of both: {counted(missing, 'image')} that A or B could not read"] if missing else []
