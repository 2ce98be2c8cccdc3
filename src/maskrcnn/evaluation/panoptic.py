"""Panoptic quality (Kirillov et al. 2019, section 4): how well things and stuff were found and told apart.

A found segment and a true one match where they are of one class and their IoU is above 0.5, which at most one pair can
be. PQ = sum of the IoUs of matches / (TP + FP / 2 + FN / 2) = SQ x RQ, per class; means over classes with any segment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hotcoco.panoptic import PanopticEval

from maskrcnn.masks.regions import labelled_regions
from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.structures import Categories
from maskrcnn.structures.panoptic import PanopticMap

QUALITIES = ("PQ", "SQ", "RQ")


@dataclass(frozen=True)
class PanopticClass:
    """The numbers of one class.

    Attributes:
        is_stuff: whether it has no objects.
        iou_sum: of the matches.
        true_positives: matches.
        false_positives: found segments without match, but for those that lie in void or in a crowd of the class.
        false_negatives: true segments without match, but for crowds.
    """

    name: str
    is_stuff: bool
    iou_sum: float
    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def is_counted(self) -> bool:
        """Whether there is any segment."""
        return self.true_positives + self.false_positives + self.false_negatives > 0

    @property
    def qualities(self) -> tuple[float, float, float]:
        """PQ, SQ, RQ; NaN without any segment."""
        if not self.is_counted:
            return math.nan, math.nan, math.nan
        weight = self.true_positives + (self.false_positives + self.false_negatives) / 2
        return self.iou_sum / weight, self.iou_sum / max(self.true_positives, 1), self.true_positives / weight


@dataclass(frozen=True)
class PanopticMetrics:
    """The numbers of a data set.

    Attributes:
        classes: in their order.
    """

    classes: tuple[PanopticClass, ...]

    def __getitem__(self, quality: str) -> float:
        """PQ, SQ or RQ over all classes."""
        return self.groups["all"][QUALITIES.index(quality)]

    @property
    def groups(self) -> dict[str, tuple[float, float, float, int]]:
        """PQ, SQ, RQ and the number of classes: of all, of things and of stuff."""
        things = [row for row in self.classes if not row.is_stuff]
        stuff = [row for row in self.classes if row.is_stuff]
        return {name: _mean(rows) for name, rows in (("all", self.classes), ("things", things), ("stuff", stuff))}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; null for what could not be computed."""
        names = (*QUALITIES, "num_classes")
        groups = {name: _jsonable(dict(zip(names, values, strict=True))) for name, values in self.groups.items()}
        return {**groups, "per_class": [_row(row) for row in self.classes]}


class PanopticCounts:
    """Matches of image after image, by hotcoco.

    Args:
        categories: the K classes. Maps of labels may have K as well, for background: it is known, but no class.

    Attributes:
        counts: (K, 4) sum of IoUs, TP, FP, FN.
    """

    def __init__(self, categories: Categories) -> None:
        self.categories = categories
        self.counts = np.zeros((len(categories), 4))
        self._classes = [
            {"id": label + 1, "name": str(label), "isthing": int(label not in categories.stuff)}
            for label in range(len(categories) + 1)
        ]

    def add(self, truth: PanopticMap, found: PanopticMap) -> None:
        """Count two maps of one image."""
        if not truth.segments and not found.segments:
            return
        evaluation = PanopticEval(self._content(truth), self._content(found))
        evaluation.evaluate()
        classes = evaluation.results()["per_class"]
        rows = [classes[label + 1] for label in range(len(self.categories))]
        self.counts += [[row["iou"], row["tp"], row["fp"], row["fn"]] for row in rows]

    def metrics(self) -> PanopticMetrics:
        """What the counts come to."""
        return PanopticMetrics(
            tuple(
                PanopticClass(name, label in self.categories.stuff, float(iou), *map(int, counted))
                for label, (name, (iou, *counted)) in enumerate(
                    zip(self.categories.names, self.counts.tolist(), strict=True)
                )
            )
        )

    def _content(self, panoptic: PanopticMap) -> dict[str, Any]:
        """The map as COCO content, a run length for each segment."""
        height, width = panoptic.numbers.shape
        masks = dict(labelled_regions(panoptic.numbers))
        annotations = []
        for segment in panoptic.segments:
            mask = masks[segment.number]
            x1, y1, x2, y2 = rle_window(mask)
            annotations.append(
                {
                    "id": segment.number,
                    "image_id": 1,
                    "category_id": segment.label + 1,
                    "iscrowd": int(segment.is_crowd),
                    "area": segment.area,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "segmentation": rle_to_coco(mask),
                }
            )
        images = [{"id": 1, "file_name": "1.png", "height": height, "width": width}]
        return {"images": images, "annotations": annotations, "categories": self._classes}


def _mean(rows: Sequence[PanopticClass]) -> tuple[float, float, float, int]:
    counted = [row.qualities for row in rows if row.is_counted]
    if not counted:
        return math.nan, math.nan, math.nan, 0
    pq, sq, rq = np.mean(counted, axis=0).tolist()
    return pq, sq, rq, len(counted)


def _row(row: PanopticClass) -> dict[str, Any]:
    counts = (row.true_positives, row.false_positives, row.false_negatives)
    return {
        "name": row.name,
        "is_stuff": row.is_stuff,
        **_jsonable(dict(zip(QUALITIES, row.qualities, strict=True))),
        **dict(zip(("true_positives", "false_positives", "false_negatives"), counts, strict=True)),
    }


def _jsonable(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
