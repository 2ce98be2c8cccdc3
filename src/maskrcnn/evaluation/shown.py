"""Objects of an evaluation in a picture: what is shown of each, and how truth and prediction belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.evaluation.predictions import Result, is_box, is_list_of_numbers, is_mask, polygons_of
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import Verdict, Verdicts
from maskrcnn.masks.polygons import polygon_window, rasterize_polygons
from maskrcnn.masks.rle import Window, rle_window
from maskrcnn.masks.rle_coco import rle_from_coco
from maskrcnn.masks.rle_crops import crop_rle
from maskrcnn.structures import RLE, MaskCrops, Polygons, Size
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import ByteArray, FloatArray
from maskrcnn.viz.colours import Colour, instance_colour
from maskrcnn.viz.looks import Look, Sign
from maskrcnn.viz.overlay import draw_overlay
from maskrcnn.viz.skeletons import KEYPOINT_THRESHOLD, Skeletons

_RED = 2
"""Where one class is coloured by object, this colour is kept for detections that are of no object."""

_SIGNS = {"right": Sign.NONE, "wrong": Sign.CROSS, "double": Sign.BARS}


@dataclass(frozen=True)
class Shown:
    """One object in a picture.

    Attributes:
        label: its class.
        box: x1, y1, x2, y2; None: that of the mask.
        mask: None where there is none.
        keypoints: (P, 3) in continuous pixels, or None.
        score: None for ground truth.
        look: how it is drawn; None: by its class, or by its place in the list.
    """

    label: int
    box: tuple[float, float, float, float] | None
    mask: Polygons | RLE | None
    keypoints: FloatArray | None
    score: float | None = None
    look: Look | None = None


def true_objects(image_id: int, truth: GroundTruth, verdicts: Verdicts | None = None) -> list[Shown]:
    """The objects to find in an image; with verdicts those marked that are missed."""
    labels = truth.labels
    return [
        true_object(image_id, number, truth, None if verdicts is None else _true_look(number, truth, verdicts.missed))
        for number in labels.objects(truth.images[image_id])
        if not labels.stuff[number]
    ]


def true_object(image_id: int, number: int, truth: GroundTruth, look: Look | None = None) -> Shown:
    """One of them, by its number in `truth.labels`."""
    labels = truth.labels
    return Shown(
        int(labels.labels[number]),
        _corners(labels.stated_boxes[number].tolist()),
        labels.mask(number, truth.size_of(image_id)),
        labels.keypoints_of(number),
        look=look,
    )


def found_object(result: Result, truth: GroundTruth, verdict: Verdict | None = None, look: Look | None = None) -> Shown:
    """A COCO result; what is senseless in it and was not compared is not shown."""
    label, size = truth.categories.label_of(result["category_id"]), truth.size_of(result["image_id"])
    box = _corners(result["bbox"]) if is_box(result.get("bbox")) else None
    mask = _mask(result["segmentation"]) if is_mask(result.get("segmentation"), size) else None
    keypoints, schema = None, truth.categories.keypoints
    if schema is not None and is_list_of_numbers(result.get("keypoints"), 3 * len(schema)):
        keypoints = np.reshape(result["keypoints"], (-1, 3)) + np.array([PIXEL_CENTRE, PIXEL_CENTRE, 0])
    look = look if verdict is None else _found_look(label, truth, verdict)
    return Shown(label, box, mask, keypoints, float(result["score"]), look)


def overlay(image: ByteArray, shown: Sequence[Shown], truth: GroundTruth) -> ByteArray:
    """The picture of an image with objects, larger by a whole number where the image is small."""
    size = (image.shape[0], image.shape[1])
    crops = [crop_of(item.mask, size) for item in shown]
    looks = [item.look for item in shown if item.look is not None]
    masks = MaskCrops.from_crops([pixels for pixels, _ in crops], [window for _, window in crops], size)
    scores = [item.score for item in shown if item.score is not None]
    return draw_overlay(
        image,
        masks,
        np.array([item.box or window for item, (_, window) in zip(shown, crops, strict=True)]).reshape(-1, 4),
        np.array([item.label for item in shown], np.int64),
        np.array(scores) if len(scores) == len(shown) else None,
        truth.categories.names,
        _skeletons(shown, truth),
        looks=looks if len(looks) == len(shown) else None,
    )


def _true_look(number: int, truth: GroundTruth, missed: frozenset[int]) -> Look:
    colour = _colour(int(truth.labels.labels[number]), number, truth)
    return Look(colour, dashed=True, filled=False, word="missed") if number in missed else Look(colour)


def _found_look(label: int, truth: GroundTruth, verdict: Verdict) -> Look:
    """Without a verdict, met a region to be ignored: as if it were right."""
    colour = _colour(label, verdict.truth, truth)
    if verdict.kind not in ("wrong", "double"):
        return Look(colour)
    return Look(colour, dashed=True, filled=False, sign=_SIGNS[verdict.kind], word=verdict.kind)


def _colour(label: int, number: int | None, truth: GroundTruth) -> Colour:
    """By class; where there is one class, by the object of this number, red where it is about none."""
    if len(truth.categories) > 1:
        return instance_colour(label)
    if number is None:
        return instance_colour(_RED)
    first = int(truth.labels.first_object[_image_of(number, truth)])
    place = number - first
    return instance_colour(place + (place >= _RED))


def _image_of(number: int, truth: GroundTruth) -> int:
    return int(np.searchsorted(truth.labels.first_object.numpy(), number, side="right")) - 1


def _skeletons(shown: Sequence[Shown], truth: GroundTruth) -> Skeletons | None:
    """The keypoints of objects; nothing where they are missing."""
    schema = truth.categories.keypoints
    if schema is None:
        return None
    keypoints = np.zeros((len(shown), len(schema), 3))
    for rows, item in zip(keypoints, shown, strict=True):
        if item.keypoints is not None:
            rows[:] = item.keypoints
    found = any(item.score is not None for item in shown)
    return Skeletons(keypoints, schema.skeleton, KEYPOINT_THRESHOLD if found else 0)


def crop_of(mask: Polygons | RLE | None, size: Size) -> tuple[ByteArray, Window]:
    """A mask inside its tightest window; empty where there is none."""
    if isinstance(mask, RLE):
        return crop_rle(mask, rle_window(mask)), rle_window(mask)
    if mask is not None:
        window = polygon_window(mask, size)
        return rasterize_polygons(mask, window, size), window
    return np.zeros((0, 0), np.uint8), (0, 0, 0, 0)


def _mask(segmentation: Any) -> Polygons | RLE | None:
    try:
        return rle_from_coco(segmentation) if isinstance(segmentation, Mapping) else polygons_of(segmentation)
    except UserError:
        return None


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    """x, y, width, height -> x1, y1, x2, y2."""
    x, y, width, height = map(float, box)
    return x, y, x + width, y + height
