"""COCO's metrics, counted by hotcoco, with the number of detections that count stated and respected.

Letters of the arrays, as in COCOeval: T IoU thresholds, R recall levels, K classes, A area ranges, M detection limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.evaluation.inputs import GEOMETRY, Annotation, GroundTruth, is_number, read_ground_truth, read_predictions
from maskrcnn.evaluation.matching import Matches, best_operating_point, per_image_metrics
from maskrcnn.evaluation.metrics import ClassMetrics, Curve, IouType, Metrics, TypeMetrics
from maskrcnn.structures.masks import FloatArray

ALL, SMALL, MEDIUM, LARGE = range(4)
"""Index of an area range: small below 32 x 32 pixels, large above 96 x 96."""
IOU_50, IOU_75 = 0, 5
"""Index of an IoU threshold among 0.5, 0.55 ... 0.95."""
NUM_RECALL_LEVELS = 101
COCO_NAME: Mapping[IouType, str] = {"mask": "segm", "box": "bbox"}


def evaluate_coco(
    ground_truth: Path | Mapping[str, Any] | GroundTruth,
    predictions: Path | Sequence[Annotation],
    max_detections: int = 100,
    iou_types: Sequence[IouType] = ("mask", "box"),
    score_threshold: float = 0.5,
) -> Metrics:
    """Compare predictions with the ground truth as COCO does.

    Masks and boxes are counted apart: a detection's area is its mask's for "mask", its box's for "box".

    Args:
        ground_truth: a COCO instances file, its content, or what `read_ground_truth` made of it.
        predictions: COCO results (image_id, category_id, score, and bbox [x, y, width, height] and/or segmentation).
        max_detections: only this many detections count per image and class, the best (COCO's `maxDets`).
        iou_types: what to compare.
        score_threshold: for the per-image numbers, which need a decision; AP and AR use all detections.

    Raises:
        UserError: unreadable input, or predictions that do not belong to this ground truth.
    """
    if max_detections < 1:
        raise UserError(f"max_detections: expected at least 1, got {max_detections}")
    truth = ground_truth if isinstance(ground_truth, GroundTruth) else read_ground_truth(ground_truth)
    results = read_predictions(predictions, truth, iou_types)
    objects = {iou_type: truth.with_geometry(iou_type) for iou_type in iou_types}
    by_type = {
        iou_type: _evaluate_type(truth, usable, results, iou_type, max_detections, score_threshold)
        for iou_type, usable in objects.items()
    }
    warnings = (*_left_out_warnings(truth, objects), *_limit_warnings(truth, results, max_detections))
    evaluator = f"hotcoco {hotcoco.__version__}"
    return Metrics(by_type, max_detections, score_threshold, len(truth.images), warnings, evaluator)


def _evaluate_type(
    truth: GroundTruth,
    objects: Sequence[Annotation],
    predictions: Sequence[Annotation],
    iou_type: IouType,
    max_detections: int,
    score_threshold: float,
) -> TypeMetrics:
    limits = sorted({limit for limit in (1, 10) if limit < max_detections} | {max_detections})
    evaluator = _run(truth, objects, predictions, iou_type, limits)
    arrays = evaluator.eval or {}
    precision, recall = np.asarray(arrays["precision"]), np.asarray(arrays["recall"])
    matches = _matches(evaluator)
    images = per_image_metrics(matches, list(truth.images), score_threshold)
    summary = {
        **_summary(precision, recall, limits),
        "per_image_ap50": _mean([image.ap50 for image in images]),
        "per_image_ap": _mean([image.ap for image in images]),
    }
    classes = _class_metrics(truth, precision, recall, matches)
    return TypeMetrics(summary, classes, _curves(precision), images)


def _run(
    truth: GroundTruth,
    objects: Sequence[Annotation],
    predictions: Sequence[Annotation],
    iou_type: IouType,
    limits: list[int],
) -> hotcoco.COCOeval:
    """The evaluator after its work; its image ids are positions in `truth.images`, its category ids labels."""
    try:
        dataset = hotcoco.COCO(_dataset(truth, objects, iou_type))
        results = dataset.load_res(_results(truth, predictions, iou_type))
        evaluator = hotcoco.COCOeval(dataset, results, COCO_NAME[iou_type])
        evaluator.params.max_dets = limits
        evaluator.evaluate()
        evaluator.accumulate()
    except ValueError as error:
        raise UserError(f"{truth.source} and its predictions, {iou_type}: cannot be evaluated: {error}") from error
    return evaluator


def _dataset(truth: GroundTruth, objects: Sequence[Annotation], iou_type: IouType) -> dict[str, Any]:
    key = GEOMETRY[iou_type]
    position = {image_id: index for index, image_id in enumerate(truth.images)}
    images = [
        {"id": position[i], "width": entry["width"], "height": entry["height"]} for i, entry in truth.images.items()
    ]
    categories = [{"id": label, "name": str(label)} for label in range(len(truth.categories))]
    annotations = [
        {
            # COCOeval takes id 0 for "no match", so ids are dealt anew from 1
            "id": index,
            "image_id": position[annotation["image_id"]],
            "category_id": truth.categories.label_of(annotation["category_id"]),
            "iscrowd": int(annotation.get("iscrowd") == 1),
            "area": _area(annotation, iou_type, truth),
            key: annotation[key],
        }
        for index, annotation in enumerate(objects, start=1)
    ]
    return {"images": images, "categories": categories, "annotations": annotations}


def _area(annotation: Annotation, iou_type: IouType, truth: GroundTruth) -> float:
    """What decides whether an object is small, medium or large: the annotation's own `area` if it has one."""
    if is_number(annotation.get("area")):
        return float(annotation["area"])
    if iou_type == "box":
        return float(annotation["bbox"][2] * annotation["bbox"][3])
    height, width = truth.size_of(annotation["image_id"])
    parts = hotcoco.mask.frPyObjects(annotation["segmentation"], height, width)
    return float(hotcoco.mask.area(hotcoco.mask.merge(parts)))


def _results(truth: GroundTruth, predictions: Sequence[Annotation], iou_type: IouType) -> list[dict[str, Any]]:
    """Results with one geometry only: given a box as well, COCO would take a mask's area from the box."""
    key = GEOMETRY[iou_type]
    position = {image_id: index for index, image_id in enumerate(truth.images)}
    return [
        {
            "image_id": position[prediction["image_id"]],
            "category_id": truth.categories.label_of(prediction["category_id"]),
            "score": float(prediction["score"]),
            key: prediction[key],
        }
        for prediction in predictions
    ]


def _matches(evaluator: hotcoco.COCOeval) -> list[Matches]:
    """The matches at the highest detection limit over objects of all sizes."""
    everything = evaluator.params.area_rng[ALL]
    entries = (entry for entry in evaluator.eval_imgs if entry is not None)
    return [Matches.from_coco(entry) for entry in entries if entry["aRng"] == everything]


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


def _curves(precision: FloatArray) -> tuple[Curve, ...]:
    whole = precision[:, :, :, ALL, -1]  # (T, R, K)
    return (
        Curve("IoU 0.50", _mean_curve(whole[IOU_50 : IOU_50 + 1])),
        Curve("IoU 0.75", _mean_curve(whole[IOU_75 : IOU_75 + 1])),
        Curve("mean of IoU 0.50 to 0.95", _mean_curve(whole)),
    )


def _mean_curve(precision: FloatArray) -> FloatArray:
    """(R,) mean over thresholds and the classes with objects, from (T, R, K)."""
    return np.array([_mean(level) for level in precision.transpose(1, 0, 2)])


def _mean(values: FloatArray | Sequence[float]) -> float:
    """The mean of what could be computed; COCO writes -1 where there was no object."""
    computed = np.asarray(values)
    computed = computed[computed > -1]
    return float(computed.mean()) if computed.size else float("nan")


def _left_out_warnings(truth: GroundTruth, objects: Mapping[IouType, Sequence[Annotation]]) -> list[str]:
    total = len(truth.annotations)
    unknown = f"{truth.source}: {truth.num_left_out} annotations left out: unknown image_id or category_id"
    return [unknown] * (truth.num_left_out > 0) + [
        f"{truth.source}: {total - len(usable)} annotations left out of {kind}: no usable {GEOMETRY[kind]}"
        for kind, usable in objects.items()
        if len(usable) < total
    ]


def _limit_warnings(truth: GroundTruth, predictions: Sequence[Annotation], max_detections: int) -> list[str]:
    objects = [a for a in truth.annotations if a.get("iscrowd") != 1]
    kinds = (
        ("objects", objects, "not all of them can be found; raise max_detections"),
        ("predictions", predictions, f"only the best {max_detections} count"),
    )
    return [
        f"max_detections = {max_detections}: {len(over)} of {len(truth.images)} images have more {kind} of one class "
        f"(up to {max(over.values())}): {consequence}"
        for kind, entries, consequence in kinds
        if (over := _over_limit(entries, max_detections))
    ]


def _over_limit(entries: Sequence[Annotation], limit: int) -> dict[int, int]:
    """Image id -> largest count of one class in it, where that is above `limit`."""
    counts = Counter((entry["image_id"], entry["category_id"]) for entry in entries)
    over: dict[int, int] = {}
    for (image_id, _), count in counts.items():
        if count > limit:
            over[image_id] = max(count, over.get(image_id, 0))
    return over
