"""What in given results is possible but hardly meant, and makes the numbers other than they seem: a line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.predictions import GEOMETRY, Result, of_type
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.structures.masks import IntArray
from maskrcnn.text import counted

_FEW_IMAGES, _FEW_OF_ALL = 1, 0.1
"""A threshold of scores usually leaves this many images, or this share of them, without predictions."""
_MANY, _SOME = 0.5, 0.2
"""Shares of boxes that reach outside their images; some are enough where all could be corners."""


def doubts_of(results: Sequence[Result], truth: GroundTruth, iou_types: Sequence[IouType]) -> list[str]:
    """A line on each thing in checked results that is likely a mistake of the program that wrote them."""
    of_types = {kind: of_type(results, truth, kind) for kind in iou_types}
    lines = [
        _not_covered(results, truth),
        _repeated(results),
        _no_probabilities([result["score"] for result in results]),
        _fractions(of_types),
        _outside(of_types.get("box", ()), truth),
    ]
    return [line for line in lines if line]


def _not_covered(results: Sequence[Result], truth: GroundTruth) -> str:
    """Results do not tell an image without detections from one that nobody looked at; without objects it is no loss."""
    labels = truth.labels
    objects = np.concatenate([[0], np.cumsum(labels.is_object.numpy())])[labels.first_object.numpy()]
    has_objects = np.diff(objects) > 0
    seen = {result["image_id"] for result in results}
    with_objects = [image_id for image_id, number in truth.images.items() if has_objects[number]]
    missing = sum(image_id not in seen for image_id in with_objects)
    what = f"no predictions in {missing} of {counted(len(with_objects), 'image')} with objects"
    is_usual = missing <= max(_FEW_IMAGES, _FEW_OF_ALL * len(with_objects))
    return "" if is_usual else f"{what}: all of these count as missed"


def _repeated(results: Sequence[Result]) -> str:
    """Few have an image, a class and a score in common: of these alone the geometry is looked at."""
    about = _hashes((result["image_id"], result["category_id"], result["score"]) for result in results)
    _, group, sizes = np.unique(about, return_inverse=True, return_counts=True)
    alike = [results[place] for place in np.flatnonzero(sizes[group] > 1).tolist()]
    shapes = _hashes((result["image_id"], result["category_id"], result["score"], *_shapes(result)) for result in alike)
    repeats = len(shapes) - len(np.unique(shapes))
    what = f"{repeats} of {counted(len(results), 'prediction')} repeat an earlier one exactly"
    return f"{what}: what is found twice counts as wrong; does the list hold itself twice?" if repeats else ""


def _shapes(result: Result) -> list[str]:
    return [str(result.get(key)) for key in GEOMETRY.values()]


def _hashes(values: Iterable[tuple[object, ...]]) -> IntArray:
    """(n,) instead of the values, of which a million take much more."""
    return np.fromiter(map(hash, values), np.int64)


def _no_probabilities(scores: Sequence[float]) -> str:
    lowest, highest = min(scores, default=0), max(scores, default=0)
    if lowest >= 0 and highest <= 1:
        return ""
    return (
        f"scores from {lowest:g} to {highest:g} are no probabilities (0 to 1): calibration is not measured, and score "
        "thresholds are on their scale"
    )


def _fractions(of_types: Mapping[IouType, Sequence[Result]]) -> str:
    """A line if no coordinate of a kind is above 1; the first that is larger ends the search."""
    keys = [
        GEOMETRY[kind]
        for kind, results in of_types.items()
        if results and all(_is_fraction(result[GEOMETRY[kind]], kind) for result in results)
    ]
    what = f"no coordinate of {' and '.join(keys)} is above 1"
    return f"{what}: COCO's are pixels; are these fractions of width and height?" if keys else ""


def _is_fraction(value: Any, iou_type: IouType) -> bool:
    if isinstance(value, Mapping):  # run lengths
        return False
    numbers = chain(*value) if iou_type == "mask" else value
    ends = 2 if iou_type == "keypoints" else 3  # the third number of a keypoint says how visible it is
    return all(number <= 1 for place, number in enumerate(numbers) if place % 3 < ends)


def _outside(results: Sequence[Result], truth: GroundTruth) -> str:
    """Of boxes given by two corners most reach outside when they are read as corner and size; a pixel is rounding."""
    numbers = [truth.images[result["image_id"]] for result in results]
    ends = truth.labels.image_sizes.numpy()[numbers][:, ::-1] + 1
    boxes = np.array([result["bbox"] for result in results], np.float64).reshape(-1, 4)
    corners, sizes = boxes[:, :2], boxes[:, 2:]
    outside = int((corners + sizes > ends).any(axis=1).sum())
    may_be_corners = bool(((sizes > corners) & (sizes <= ends)).all())
    if outside <= len(boxes) * (_SOME if may_be_corners else _MANY):
        return ""
    question = "are these x1, y1, x2, y2?" if may_be_corners else "are they of images of another size?"
    return f"{outside} of {len(boxes)} bbox reach outside their image: COCO's are x, y, width, height; {question}"
