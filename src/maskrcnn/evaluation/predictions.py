"""COCO results, read and checked: one that makes no sense is a mistake in the program that wrote it, hence an error."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.json_values import is_number, load_json
from maskrcnn.structures import Polygons, Size
from maskrcnn.text import brief

Result = Mapping[str, Any]
"""One object found: image_id, category_id, score, and bbox [x, y, width, height], segmentation and/or keypoints."""

GEOMETRY: Mapping[IouType, str] = {"mask": "segmentation", "keypoints": "keypoints", "box": "bbox"}
"""The COCO key that holds what an IoU type compares."""


def read_predictions(
    predictions: Path | Sequence[Result], truth: GroundTruth, iou_types: Sequence[IouType]
) -> Sequence[Result]:
    """Read and check a list of COCO results.

    Raises:
        UserError: naming the first entry that has a missing key, an unknown id or a senseless value.
    """
    source = str(predictions) if isinstance(predictions, Path) else "predictions"
    content = load_json(predictions) if isinstance(predictions, Path) else predictions
    if not isinstance(content, Sequence) or isinstance(content, str):
        raise UserError(f"{source}: expected a list of COCO results, got {type(content).__name__}")
    category_ids = frozenset(truth.categories.ids)
    for index, prediction in enumerate(content):
        problem = _problem_of(prediction, truth, category_ids, iou_types)
        if problem:
            raise UserError(f"{source}: entry {index}: {problem}")
    return content


def of_type(predictions: Sequence[Result], truth: GroundTruth, iou_type: IouType) -> list[Result]:
    """The results of the classes that `iou_type` is about."""
    label_of = truth.categories.label_of
    return [result for result in predictions if truth.is_compared(label_of(result["category_id"]), iou_type)]


def is_box(value: object) -> bool:
    """Whether this is COCO's [x, y, width, height]."""
    return is_list_of_numbers(value, 4)


def is_list_of_numbers(value: object, count: int) -> bool:
    """Whether this is a list of so many numbers of bearable size."""
    return isinstance(value, list | tuple) and len(value) == count and all(is_number(v) for v in value)


def is_mask(value: object, size: Size) -> bool:
    """Whether this has the form of an RLE of this size, or of polygons with at least three points each."""
    if isinstance(value, Mapping):
        return value.get("size") in (list(size), size) and isinstance(value.get("counts"), str | bytes | list)
    return isinstance(value, list) and len(value) > 0 and all(_is_ring(ring) for ring in value)


def polygons_of(segmentation: list[list[float]]) -> Polygons:
    """What a list of polygons describes."""
    return Polygons(tuple(np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in segmentation))


def _is_ring(ring: object) -> bool:
    return isinstance(ring, list) and len(ring) >= 6 and len(ring) % 2 == 0 and all(is_number(v) for v in ring)


def _problem_of(
    prediction: object, truth: GroundTruth, category_ids: Container[object], iou_types: Sequence[IouType]
) -> str | None:
    """What is wrong with one COCO result, in words; None when it is good."""
    if not isinstance(prediction, Mapping):
        return f"expected an object with keys, got {brief(prediction)}"
    of_all_classes = {GEOMETRY[t] for t in iou_types if t != "keypoints"}
    missing = {"image_id", "category_id", "score", *of_all_classes} - prediction.keys()
    if missing:
        return f"expected the key{'s' * (len(missing) > 1)} {', '.join(sorted(missing))}"
    image_id, category_id, score = (prediction[k] for k in ("image_id", "category_id", "score"))
    if not _is_among(image_id, truth.images):
        return f"image_id {brief(image_id)} is not among the images of {truth.source}"
    if not _is_among(category_id, category_ids):
        return f"category_id {brief(category_id)} is not among the categories of {truth.source}"
    if not is_number(score):
        return f"expected a finite number as score, got {brief(score)}"
    return _problem_of_geometry(prediction, truth, iou_types)


def _is_among(value: object, ids: Container[object]) -> bool:
    """Whether this is one of `ids`, and not true, false or something that cannot be looked up."""
    return is_number(value) and value in ids


def _problem_of_geometry(prediction: Result, truth: GroundTruth, iou_types: Sequence[IouType]) -> str | None:
    size, label = truth.size_of(prediction["image_id"]), truth.categories.label_of(prediction["category_id"])
    for iou_type in iou_types:
        value = prediction.get(GEOMETRY[iou_type])
        if truth.is_compared(label, iou_type) and not _is_usable(value, iou_type, truth, size):
            return f"expected {_EXPECTED[iou_type]} as {GEOMETRY[iou_type]}, got {_outline(value)}" + (
                f" in an image of (height, width) {list(size)}" if iou_type == "mask" else ""
            )
    return None


def _is_usable(value: object, iou_type: IouType, truth: GroundTruth, size: Size) -> bool:
    """Whether this has the form of what `iou_type` compares."""
    if iou_type == "keypoints":
        return is_list_of_numbers(value, 3 * len(truth.keypoint_schema()))
    return is_mask(value, size) if iou_type == "mask" else is_box(value)


def _outline(value: object) -> str:
    """A value in few characters; of an RLE, what matters is its size."""
    return f"an RLE of size {brief(value.get('size'))}" if isinstance(value, Mapping) else brief(value)


_EXPECTED: Mapping[IouType, str] = {
    "mask": "an RLE or polygons",
    "box": "[x, y, width, height]",
    "keypoints": "three numbers for each keypoint of the class",
}
