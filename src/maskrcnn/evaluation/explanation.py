"""What the errors are, beside how many: kinds of errors, confusions, calibration, thresholds, parts of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.evaluation.interval import Interval
from maskrcnn.structures.masks import IntArray


@dataclass(frozen=True)
class ErrorKind:
    """Of TIDE (Bolya et al. 2020).

    Attributes:
        count: how many there are among all detections that count, of any score.
        ap50_lost: by how much AP50 would rise if these alone were put right; the kinds do not add up.
    """

    count: int
    ap50_lost: float


@dataclass(frozen=True)
class ErrorCase:
    """One wrong detection, or one missed object.

    Attributes:
        kind: "classification", "localisation", "both", "double", "background" or "missed".
        image: position of the image in `GroundTruth.images`.
        found: position of the detection among those that are compared (`predictions.of_type`); None: missed.
        truth: position of the object that it is about among those that are compared; None: there is none.
        better: position of the detection that has found that object; None: none has.
        iou: of detection and object, of keypoints their similarity (OKS); 0 where one is not there.
        weight: what makes it bad: the score of a detection, the area of a missed object in pixels.
    """

    kind: str
    image: int
    found: int | None
    truth: int | None
    better: int | None
    iou: float
    weight: float


@dataclass(frozen=True)
class Errors:
    """What hotcoco finds in the detections of one IoU type.

    Attributes:
        kinds: by name, in TIDE's order.
        class_names: of the K classes that are compared.
        confusion: (K + 1, K + 1) rows the true class, columns the predicted one, the last of each none at all.
        threshold: detections from this score on are in `confusion`.
        calibration_error: how far scores are from the share that is right, on average (ECE, ten bins); NaN for scores
            that are no probabilities.
        bins: (mean score, share that is right, how many) of each bin with detections; none likewise.
    """

    kinds: Mapping[str, ErrorKind]
    class_names: tuple[str, ...]
    confusion: IntArray
    threshold: float
    calibration_error: float
    bins: tuple[tuple[float, float, int], ...]

    def confusions(self) -> list[tuple[str | None, str | None, int]]:
        """(true class, predicted class, how often) where there are any; None: none at all."""
        names = (*self.class_names, None)
        places = np.argwhere(self.confusion).tolist()
        return [(names[i], names[j], int(self.confusion[i, j])) for i, j in places]


@dataclass(frozen=True)
class ThresholdRow:
    """What a score threshold gives at IoU 0.5.

    Attributes:
        count_error: how many more objects are found than there are, on average over images.
        count_error_size: the same, without the sign.
    """

    score: float
    precision: float
    recall: float
    f1: float
    count_error: float
    count_error_size: float


@dataclass(frozen=True)
class SliceRow:
    """The AP over a part of the images, or of the objects.

    Attributes:
        size: how many images or objects are in it.
    """

    name: str
    size: int
    ap: Interval


@dataclass(frozen=True)
class Explanation:
    """Of one IoU type.

    Attributes:
        errors: None for keypoints, and without any detection.
        thresholds: by score.
        slices: of the images.
        object_slices: of the objects.
        worst: errors of each kind, to look at; of keypoints too.
    """

    errors: Errors | None
    thresholds: tuple[ThresholdRow, ...]
    slices: tuple[SliceRow, ...]
    object_slices: tuple[SliceRow, ...]
    worst: Mapping[str, tuple[ErrorCase, ...]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; null for what could not be computed."""
        errors = self.errors
        return {
            "errors": errors and {name: {"count": k.count, "AP50": k.ap50_lost} for name, k in errors.kinds.items()},
            "confusion": errors and {"min_score": errors.threshold, "counts": [*map(list, errors.confusions())]},
            "calibration": errors and {"error": _known(errors.calibration_error), "bins": [*map(list, errors.bins)]},
            "thresholds": [{name: _known(value) for name, value in vars(row).items()} for row in self.thresholds],
            "slices": [_slice(row, "num_images") for row in self.slices],
            "object_slices": [_slice(row, "num_objects") for row in self.object_slices],
        }


def _slice(row: SliceRow, size: str) -> dict[str, Any]:
    return {"name": row.name, size: row.size, "AP": _known(row.ap.estimate), "interval": row.ap.bounds()}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
