"""The errors looked at: hotcoco counts kinds, confusions and calibration, the rest follows from matches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from maskrcnn.evaluation.counting import evaluators
from maskrcnn.evaluation.explanation import ErrorKind, Errors, Explanation, SliceRow, ThresholdRow
from maskrcnn.evaluation.intervals import mean_ap, rankings, sampled
from maskrcnn.evaluation.matching import Matches, per_image_metrics
from maskrcnn.evaluation.metrics import IouType, OperatingPoint
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.slices import image_slices
from maskrcnn.evaluation.truth import GroundTruth

KINDS = {
    "classification": "Cls",
    "localisation": "Loc",
    "both": "Both",
    "double": "Dupe",
    "background": "Bkg",
    "missed": "Miss",
}
"""Ours by hotcoco's."""

SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def explain(
    truth: GroundTruth,
    predictions: Sequence[Result],
    matches: Sequence[Matches],
    iou_type: IouType,
    limit: int,
    best: OperatingPoint,
) -> Explanation:
    """What is behind the numbers of one IoU type.

    Args:
        truth: what was to be found.
        predictions: COCO results.
        matches: of these, at the limit.
        iou_type: what was compared.
        limit: detections that count per image and class.
        best: where F1 is highest; confusions are counted from this score on.
    """
    threshold = best.score if math.isfinite(best.score) else 0.5
    errors = None if iou_type == "keypoints" else _errors(truth, predictions, iou_type, limit, threshold)
    scores = sorted({*SCORES, *([best.score] if math.isfinite(best.score) else [])})
    rows = tuple(_threshold_row(matches, len(truth.images), score) for score in scores)
    return Explanation(errors, rows, tuple(_slices(truth, matches)))


def _errors(
    truth: GroundTruth, predictions: Sequence[Result], iou_type: IouType, limit: int, threshold: float
) -> Errors | None:
    """None without any detection."""
    if not predictions:
        return None
    counted, fresh = evaluators(truth, predictions, iou_type)
    counted.params.max_dets = [limit]
    counted.evaluate()
    counted.accumulate()
    found, calibration = counted.tide_errors(), counted.calibration()
    confusion: Mapping[str, Any] = fresh.confusion_matrix(min_score=threshold, max_det=limit)
    num_classes = len(truth.categories)
    compared = [*(label for label in range(num_classes) if truth.is_compared(label, iou_type)), num_classes]
    return Errors(
        {name: ErrorKind(found["counts"][key], found["delta_ap"][key]) for name, key in KINDS.items()},
        np.asarray(confusion["matrix"]).astype(np.int64)[np.ix_(compared, compared)],
        threshold,
        float(calibration["ece"]),
        tuple((b["avg_confidence"], b["avg_accuracy"], b["count"]) for b in calibration["bins"] if b["count"]),
    )


def _threshold_row(matches: Sequence[Matches], num_images: int, score: float) -> ThresholdRow:
    images = per_image_metrics(matches, range(num_images), score)
    hits = sum(image.true_positives for image in images)
    wrong, missed = (sum(getattr(i, f"false_{name}") for i in images) for name in ("positives", "negatives"))
    excess = np.array([image.false_positives - image.false_negatives for image in images])
    return ThresholdRow(
        score,
        precision=hits / (hits + wrong) if hits + wrong else math.nan,
        recall=hits / (hits + missed) if hits + missed else math.nan,
        f1=2 * hits / (2 * hits + wrong + missed) if hits + wrong + missed else math.nan,
        count_error=float(excess.mean()),
        count_error_size=float(np.abs(excess).mean()),
    )


def _slices(truth: GroundTruth, matches: Sequence[Matches]) -> list[SliceRow]:
    ranked = rankings(matches, len(truth.images), len(truth.categories))
    return [
        SliceRow(name, int(chosen.sum()), float(mean_ap(sampled(ranked, chosen[None])[0])))
        for name, chosen in image_slices(truth).items()
    ]
