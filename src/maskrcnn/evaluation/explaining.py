"""The errors looked at: hotcoco counts kinds, confusions and calibration, the rest follows from matches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import hotcoco
import numpy as np

from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.error_cases import error_cases, worst_cases
from maskrcnn.evaluation.explanation import ErrorKind, Errors, Explanation, SliceRow, ThresholdRow
from maskrcnn.evaluation.intervals import Halves
from maskrcnn.evaluation.matching import Matches, best_operating_point, per_image_metrics
from maskrcnn.evaluation.object_slices import SIZES, matches_by_edge
from maskrcnn.evaluation.ranking import rankings
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
    compared: Compared,
    matches: Sequence[Matches],
    sizes: Mapping[str, Sequence[Matches]],
    limit: int,
    halves: Halves,
) -> Explanation:
    """What is behind the numbers of one IoU type.

    Args:
        truth: what was to be found.
        compared: the same and what was found, as hotcoco takes them.
        matches: of these, at the limit.
        sizes: the same over objects of one size.
        limit: detections that count per image and class.
        halves: of the images.
    """
    best = best_operating_point(matches).score  # where F1 is highest; confusions are counted from this score on
    threshold = best if math.isfinite(best) else 0.5
    counted = _counted(compared, limit) if compared.found.get_ann_ids() else None
    cases = {} if counted is None else worst_cases(error_cases(compared, counted))
    by_kind = {name: cases[name] for name in KINDS if name in cases}
    measured = counted if compared.iou_type != "keypoints" else None
    errors = None if measured is None else _errors(truth, compared, measured, matches, limit, threshold)
    scores = sorted({*SCORES, *([best] if math.isfinite(best) else [])})
    rows = tuple(_threshold_row(matches, len(truth.images), score) for score in scores)
    parts = {SIZES[name]: own for name, own in sizes.items()}
    if compared.iou_type != "keypoints":  # whose similarity depends on the area
        parts |= matches_by_edge(compared, limit)
    total = sum(match.num_truths for match in matches)
    objects = _object_slices(parts, total, halves, len(truth.categories))
    return Explanation(errors, rows, tuple(_slices(truth, matches, halves)), tuple(objects), by_kind)


def _counted(compared: Compared, limit: int) -> hotcoco.COCOeval:
    """An evaluator that has evaluated."""
    evaluator = compared.evaluator()
    evaluator.params.max_dets = [limit]
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator


def _errors(
    truth: GroundTruth,
    compared: Compared,
    counted: hotcoco.COCOeval,
    matches: Sequence[Matches],
    limit: int,
    threshold: float,
) -> Errors:
    found = counted.tide_errors()
    confusion: Mapping[str, Any] = compared.evaluator().confusion_matrix(min_score=threshold, max_det=limit)
    names = truth.categories.names
    labels = [label for label in range(len(names)) if truth.is_compared(label, compared.iou_type)]
    places = [*labels, len(names)]
    return Errors(
        {name: ErrorKind(found["counts"][key], found["delta_ap"][key]) for name, key in KINDS.items()},
        tuple(names[label] for label in labels),
        np.asarray(confusion["matrix"]).astype(np.int64)[np.ix_(places, places)],
        threshold,
        *_calibration(counted, matches),
    )


def _calibration(
    counted: hotcoco.COCOeval, matches: Sequence[Matches]
) -> tuple[float, tuple[tuple[float, float, int], ...]]:
    """The error and the bins; NaN and none for scores that are no probabilities, as COCO allows."""
    if not all(((own.scores >= 0) & (own.scores <= 1)).all() for own in matches):
        return math.nan, ()
    found = counted.calibration()
    return float(found["ece"]), tuple(
        (b["avg_confidence"], b["avg_accuracy"], b["count"]) for b in found["bins"] if b["count"]
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


def _slices(truth: GroundTruth, matches: Sequence[Matches], halves: Halves) -> list[SliceRow]:
    ranked = rankings(matches, len(truth.images), len(truth.categories))
    return [
        SliceRow(name, int(chosen.sum()), halves.measure(ranked, chosen).interval())
        for name, chosen in image_slices(truth).items()
    ]


def _object_slices(
    parts: Mapping[str, Sequence[Matches]], total: int, halves: Halves, num_classes: int
) -> list[SliceRow]:
    """Without parts that have no objects, and those that have all of them."""
    numbers = {name: sum(match.num_truths for match in own) for name, own in parts.items()}
    return [
        SliceRow(name, numbers[name], halves.measure(rankings(own, len(halves.groups), num_classes)).interval())
        for name, own in parts.items()
        if 0 < numbers[name] < total
    ]
