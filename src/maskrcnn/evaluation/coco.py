"""COCO's metrics, counted by hotcoco, with the number of detections that count stated and respected.

Letters of the arrays, as in COCOeval: T IoU thresholds, R recall levels, K classes, A area ranges, M detection limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import hotcoco
import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.counting import count
from maskrcnn.evaluation.explaining import explain as explanation_of
from maskrcnn.evaluation.further import further_scores
from maskrcnn.evaluation.intervals import Halves, ap_intervals
from maskrcnn.evaluation.matching import Matches, best_operating_point, per_image_metrics
from maskrcnn.evaluation.metrics import (
    ClassMetrics,
    Curve,
    IouType,
    Metrics,
    TypeMetrics,
    detection_limit,
    similarity_name,
)
from maskrcnn.evaluation.object_slices import matches_by_size
from maskrcnn.evaluation.oks import warnings_of
from maskrcnn.evaluation.predictions import Result, read_predictions
from maskrcnn.evaluation.slices import groups_of
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.structures.masks import FloatArray

ALL, SMALL, MEDIUM, LARGE = range(4)
"""Index of an area range: small below 32 x 32 pixels, large above 96 x 96."""
KEYPOINT_MEDIUM, KEYPOINT_LARGE = 1, 2
"""The same for keypoints: COCO labels none on small objects, and has no such range."""
IOU_50, IOU_75 = 0, 5
"""Index of an IoU threshold among 0.5, 0.55 ... 0.95."""


def evaluate_coco(
    truth: GroundTruth,
    predictions: Path | Sequence[Result],
    max_detections: int = 100,
    iou_types: Sequence[IouType] = ("mask", "box"),
    score_threshold: float = 0.5,
    *,
    explain: bool = False,
) -> Metrics:
    """Compare predictions with the ground truth as COCO does.

    Masks, boxes and keypoints are counted apart: a detection's area is its mask's for "mask", its box's for "box".

    Args:
        truth: the objects to find.
        predictions: COCO results (image_id, category_id, score, and bbox [x, y, width, height], segmentation and/or
            keypoints).
        max_detections: only this many detections count per image and class, the best (COCO's `maxDets`); at most 20
            for keypoints.
        iou_types: what to compare.
        score_threshold: for the per-image numbers, which need a decision; AP and AR use all detections.
        explain: tell also how sure each AP is and what goes wrong, which takes longer.

    Raises:
        UserError: unreadable input, or predictions that do not belong to this ground truth.
    """
    if max_detections < 1:
        raise UserError(f"max_detections: expected at least 1, got {max_detections}")
    results = read_predictions(predictions, truth, iou_types)
    halves = Halves.of(groups_of(truth)) if explain else None
    by_type = {
        kind: _evaluate_type(truth, results, kind, max_detections, score_threshold, halves) for kind in iou_types
    }
    warnings = tuple(result_warnings(truth, results, max_detections, iou_types))
    evaluator = f"hotcoco {hotcoco.__version__}"
    return Metrics(by_type, max_detections, score_threshold, len(truth.images), warnings, evaluator)


def _evaluate_type(
    truth: GroundTruth,
    results: Sequence[Result],
    iou_type: IouType,
    max_detections: int,
    score_threshold: float,
    halves: Halves | None,
) -> TypeMetrics:
    """The numbers of one IoU type; with `halves` also how sure they are, and what is behind them."""
    limit = detection_limit(iou_type, max_detections)
    compared = Compared.of(truth, results, iou_type, limit)
    lower = () if iou_type == "keypoints" else (1, 10, 100)
    limits = [*(n for n in lower if n < limit), limit]
    precision, recall, matches = count(compared, limits)
    images = per_image_metrics(matches, list(truth.images), score_threshold)
    summary = {
        **(_keypoint_summary(precision, recall) if iou_type == "keypoints" else _summary(precision, recall, limits)),
        "per_image_ap50": _mean([image.ap50 for image in images]),
        "per_image_ap": _mean([image.ap for image in images]),
    }
    classes = _class_metrics(truth, precision, recall, matches)
    shown = [label for label in range(len(classes)) if truth.is_compared(label, iou_type)]
    numbers = TypeMetrics(
        summary,
        tuple(classes[label] for label in shown),
        _curves(precision, iou_type),
        images,
        best_operating_point(matches),
    )
    if halves is None:
        return numbers
    sizes = matches_by_size(compared, limit)
    sure = ap_intervals(matches, halves, len(classes), sizes)
    return replace(
        numbers,
        further=further_scores(truth, compared, limit, score_threshold, halves),
        intervals=replace(sure, classes=tuple(sure.classes[label] for label in shown)),
        explanation=explanation_of(truth, compared, matches, sizes, limit, halves),
    )


def _summary(precision: FloatArray, recall: FloatArray, limits: list[int]) -> dict[str, float]:
    """COCO's twelve numbers; `precision` (T, R, K, A, M), `recall` (T, K, A, M).

    pycocotools takes the first at a fixed limit of 100 and gives -1 where that was not asked for; here all
    stand at the highest limit, but for the recalls that name a lower one.
    """
    return {
        "AP": _mean(precision[:, :, :, ALL, -1]),
        "AP50": _mean(precision[IOU_50, :, :, ALL, -1]),
        "AP75": _mean(precision[IOU_75, :, :, ALL, -1]),
        "APs": _mean(precision[:, :, :, SMALL, -1]),
        "APm": _mean(precision[:, :, :, MEDIUM, -1]),
        "APl": _mean(precision[:, :, :, LARGE, -1]),
        **{f"AR{limit}": _mean(recall[:, :, ALL, m]) for m, limit in enumerate(limits)},
        "ARs": _mean(recall[:, :, SMALL, -1]),
        "ARm": _mean(recall[:, :, MEDIUM, -1]),
        "ARl": _mean(recall[:, :, LARGE, -1]),
    }


def _keypoint_summary(precision: FloatArray, recall: FloatArray) -> dict[str, float]:
    """COCO's ten numbers, at one limit of detections; arrays as for `_summary`."""
    return {
        "AP": _mean(precision[:, :, :, ALL, -1]),
        "AP50": _mean(precision[IOU_50, :, :, ALL, -1]),
        "AP75": _mean(precision[IOU_75, :, :, ALL, -1]),
        "APm": _mean(precision[:, :, :, KEYPOINT_MEDIUM, -1]),
        "APl": _mean(precision[:, :, :, KEYPOINT_LARGE, -1]),
        "AR": _mean(recall[:, :, ALL, -1]),
        "AR50": _mean(recall[IOU_50, :, ALL, -1]),
        "AR75": _mean(recall[IOU_75, :, ALL, -1]),
        "ARm": _mean(recall[:, :, KEYPOINT_MEDIUM, -1]),
        "ARl": _mean(recall[:, :, KEYPOINT_LARGE, -1]),
    }


def _class_metrics(
    truth: GroundTruth, precision: FloatArray, recall: FloatArray, matches: Sequence[Matches]
) -> tuple[ClassMetrics, ...]:
    by_label: list[list[Matches]] = [[] for _ in truth.categories.ids]
    for match in matches:
        by_label[match.label].append(match)
    return tuple(
        ClassMetrics(
            category_id=truth.categories.ids[k],
            name=truth.categories.names[k],
            num_truths=sum(match.num_truths for match in own),
            num_predictions=sum(len(match.scores) for match in own),
            ap=_mean(precision[:, :, k, ALL, -1]),
            ap50=_mean(precision[IOU_50, :, k, ALL, -1]),
            ap75=_mean(precision[IOU_75, :, k, ALL, -1]),
            ar=_mean(recall[:, k, ALL, -1]),
            best=best_operating_point(own),
        )
        for k, own in enumerate(by_label)
    )


def _curves(precision: FloatArray, iou_type: IouType) -> tuple[Curve, ...]:
    whole = precision[:, :, :, ALL, -1]  # (T, R, K)
    measure = similarity_name(iou_type)
    return (
        Curve(f"{measure} 0.50", _mean_curve(whole[IOU_50 : IOU_50 + 1])),
        Curve(f"{measure} 0.75", _mean_curve(whole[IOU_75 : IOU_75 + 1])),
        Curve(f"mean of {measure} 0.50 to 0.95", _mean_curve(whole)),
    )


def _mean_curve(precision: FloatArray) -> FloatArray:
    """(R,) mean over thresholds and the classes with objects, from (T, R, K)."""
    return np.array([_mean(level) for level in precision.transpose(1, 0, 2)])


def _mean(values: FloatArray | Sequence[float]) -> float:
    """The mean of what could be computed; COCO writes -1 where there was no object."""
    computed = np.asarray(values)
    computed = computed[computed > -1]
    return float(computed.mean()) if computed.size else float("nan")


def result_warnings(
    truth: GroundTruth, predictions: Sequence[Result], max_detections: int, iou_types: Sequence[IouType]
) -> list[str]:
    """What was assumed of keypoints, and what the limit of detections leaves out; a line each."""
    assumptions = warnings_of(truth.keypoint_schema()) if "keypoints" in iou_types else []
    return [*assumptions, *_limit_warnings(truth, predictions, max_detections)]


def _limit_warnings(truth: GroundTruth, predictions: Sequence[Result], max_detections: int) -> list[str]:
    kinds = (
        ("objects", truth.most_objects(), "not all of them can be found; raise max_detections"),
        ("predictions", _most_predictions(predictions), f"only the best {max_detections} count"),
    )
    return [
        f"max_detections = {max_detections}: {len(over)} of {len(truth.images)} images have more {kind} of one class "
        f"(up to {max(over)}): {consequence}"
        for kind, most, consequence in kinds
        if (over := [number for number in most.values() if number > max_detections])
    ]


def _most_predictions(predictions: Sequence[Result]) -> dict[int, int]:
    """Image id -> how many predictions there are of one class, the most frequent."""
    most: dict[int, int] = {}
    numbers = Counter((entry["image_id"], entry["category_id"]) for entry in predictions)
    for (image_id, _), number in numbers.items():
        most[image_id] = max(number, most.get(image_id, 0))
    return most
