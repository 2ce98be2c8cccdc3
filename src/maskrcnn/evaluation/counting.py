"""The counting itself, done by hotcoco: what goes in, what comes out."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import hotcoco
import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.evaluation.forms import Annotation
from maskrcnn.evaluation.inputs import GEOMETRY, GroundTruth
from maskrcnn.evaluation.matching import Matches
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.oks import compared_object, sigmas_of
from maskrcnn.json_values import is_number
from maskrcnn.structures.masks import FloatArray

COCO_NAME: Mapping[IouType, str] = {"mask": "segm", "box": "bbox", "keypoints": "keypoints"}

IMAGES_AT_A_TIME = 200
"""Matches come as nested Python lists, megabytes per hundred images, so they are fetched in portions."""


def count(
    truth: GroundTruth,
    objects: Sequence[Annotation],
    predictions: Sequence[Annotation],
    iou_type: IouType,
    limits: list[int],
) -> tuple[FloatArray, FloatArray, list[Matches]]:
    """COCO's matching and accumulation.

    Args:
        truth: images and classes.
        objects: its annotations that can be compared.
        predictions: COCO results.
        iou_type: what to compare.
        limits: detections that count per image and class (maxDets), ascending.

    Returns:
        Precision (T, R, K, A, M) and recall (T, K, A, M), -1 where there is no object; and the matches of every image
        and class at the highest limit, over objects of all sizes.

    Raises:
        UserError: hotcoco refuses a value.
    """
    try:
        dataset = hotcoco.COCO(_dataset(truth, objects, iou_type))
        results = dataset.load_res(_results(truth, predictions, iou_type))
        evaluator = _evaluator(truth, dataset, results, iou_type)
        evaluator.params.max_dets = limits
        evaluator.evaluate()
        evaluator.accumulate()
        fresh = _evaluator(truth, dataset, results, iou_type)
        matches = list(_matches(fresh, len(truth.images), limits[-1]))
    except ValueError as error:
        raise UserError(f"{truth.source} and its predictions, {iou_type}: cannot be evaluated: {error}") from error
    arrays = evaluator.eval or {}
    return np.asarray(arrays["precision"]), np.asarray(arrays["recall"]), matches


def _evaluator(truth: GroundTruth, dataset: hotcoco.COCO, results: hotcoco.COCO, iou_type: IouType) -> hotcoco.COCOeval:
    evaluator = hotcoco.COCOeval(dataset, results, COCO_NAME[iou_type])
    if iou_type == "keypoints":
        evaluator.params.kpt_oks_sigmas = sigmas_of(truth.keypoint_schema())
    return evaluator


def _dataset(truth: GroundTruth, objects: Sequence[Annotation], iou_type: IouType) -> dict[str, Any]:
    """The ground truth as COCO content; image ids become positions in `truth.images`, category ids labels."""
    position = {image_id: index for index, image_id in enumerate(truth.images)}
    images = [
        {"id": position[i], "width": entry["width"], "height": entry["height"]} for i, entry in truth.images.items()
    ]
    categories = [{"id": label, "name": str(label)} for label in range(len(truth.categories))]
    annotations = [
        {
            "id": index,  # dealt anew: a file's own may be missing or repeat
            "image_id": position[annotation["image_id"]],
            "category_id": truth.categories.label_of(annotation["category_id"]),
            "iscrowd": int(annotation.get("iscrowd") == 1),
            "area": _area(annotation, geometry, truth),
            **geometry,
        }
        for index, annotation in enumerate(objects, start=1)
        for geometry in [_geometry(annotation, iou_type, truth)]
    ]
    return {"images": images, "categories": categories, "annotations": annotations}


def _geometry(annotation: Annotation, iou_type: IouType, truth: GroundTruth) -> dict[str, Any]:
    """What is compared of an object to find."""
    if iou_type == "keypoints":
        return compared_object(annotation, truth.keypoint_schema())
    return {GEOMETRY[iou_type]: annotation[GEOMETRY[iou_type]]}


def _area(annotation: Annotation, geometry: Mapping[str, Any], truth: GroundTruth) -> float:
    """What decides whether an object is small, medium or large, and how near its keypoints must be met.

    The annotation's own `area` if it has one, else that of what is compared.
    """
    if is_number(annotation.get("area")):
        return float(annotation["area"])
    if "bbox" in geometry:
        return float(geometry["bbox"][2] * geometry["bbox"][3])
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
        for prediction in truth.of_type(iou_type, predictions)
    ]


def _matches(evaluator: hotcoco.COCOeval, num_images: int, limit: int) -> Iterator[Matches]:
    """The matches over objects of all sizes, of a fresh evaluator."""
    params = evaluator.params
    params.max_dets, params.area_rng, params.area_rng_lbl = [limit], params.area_rng[:1], params.area_rng_lbl[:1]
    for start in range(0, num_images, IMAGES_AT_A_TIME):
        params.img_ids = list(range(start, min(start + IMAGES_AT_A_TIME, num_images)))
        evaluator.evaluate()
        with _garbage_collection_paused():
            portion = [Matches.from_coco(entry) for entry in evaluator.eval_imgs if entry is not None]
        yield from portion


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Some hundred thousand small lists, none of them garbage, would set the collector off again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
