"""Labels and given predictions compared, without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.evaluation.coco import evaluate_coco
from maskrcnn.evaluation.metrics import IouType, Metrics
from maskrcnn.evaluation.truth import GroundTruth


def evaluate_predictions(
    annotations: Path | Mapping[str, Any],
    predictions: Path | Sequence[Mapping[str, Any]],
    max_detections: int = 100,
    iou_types: Sequence[IouType] = ("mask", "box"),
    score_threshold: float = 0.5,
) -> Metrics:
    """Compare COCO results with the labels; the images themselves are not looked at.

    Args:
        annotations: a COCO instances file, or its content.
        predictions: COCO results (image_id, category_id, score, and bbox, segmentation and/or keypoints) or their file.
        max_detections: per image and class, those that count (COCO's maxDets).
        iou_types: what to compare.
        score_threshold: for the per-image numbers, which need a decision; AP and AR use all detections.

    Raises:
        UserError: unreadable input, or predictions that do not belong to these labels.
    """
    data = read_coco(annotations, need_masks="mask" in iou_types)
    metrics = evaluate_coco(ground_truth_of(data), predictions, max_detections, iou_types, score_threshold)
    return replace(metrics, warnings=(*data.report.faults(), *metrics.warnings))


def ground_truth_of(data: LabelledImages) -> GroundTruth:
    """All objects of a data set, to be found."""
    return GroundTruth(data.report.source, data.categories, data.labels)
