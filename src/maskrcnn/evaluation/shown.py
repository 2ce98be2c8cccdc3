"""Objects of an evaluation in a picture: what is shown of each, and how truth and prediction belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.evaluation.parts import Part
from maskrcnn.evaluation.predictions import Result, is_box, is_list_of_numbers, is_mask, polygons_of
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import Verdict, Verdicts
from maskrcnn.masks.polygons import polygon_window, rasterize_polygons
from maskrcnn.masks.rle import Window, rle_window
from maskrcnn.masks.rle_coco import LARGEST_LABELLED, rle_from_coco
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


def true_objects(part: Part, image_id: int, truth: GroundTruth, verdicts: Verdicts | None = None) -> list[Shown]:
    """The objects to find in what is seen of an image; with verdicts those marked that are missed."""
    labels = truth.labels
    numbers = (number for number in part.numbers_of(image_id, truth) if not labels.stuff[number])
    return [true_object(image_id, number, truth, _true_look(image_id, number, truth, verdicts)) for number in numbers]


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
    look = look if verdict is None else _found_look(label, result["image_id"], truth, verdict)
    return Shown(label, box, mask, keypoints, float(result["score"]), look)


def overlay(part: Part, shown: Sequence[Shown], truth: GroundTruth) -> ByteArray:
    """The picture of an image, or of a part of it, with objects; larger by a whole number where it is small."""
    crops = [crop_of(item.mask, part.size, part.window) for item in shown]
    looks = [item.look for item in shown if item.look is not None]
    corner, (height, width) = np.array(part.window[:2] * 2), part.pixels.shape[:2]
    windows = np.array([window for _, window in crops], np.int64).reshape(-1, 4)
    moved = np.where(windows.any(axis=1, keepdims=True), windows - corner, 0)
    masks = MaskCrops.from_crops([pixels for pixels, _ in crops], moved.tolist(), (height, width))
    scores = [item.score for item in shown if item.score is not None]
    boxes = np.array([item.box or window for item, (_, window) in zip(shown, crops, strict=True)]).reshape(-1, 4)
    return draw_overlay(
        part.pixels,
        masks,
        boxes if part.is_whole else np.clip(boxes - corner, 0, [width, height] * 2),
        np.array([item.label for item in shown], np.int64),
        np.array(scores) if len(scores) == len(shown) else None,
        truth.categories.names,
        skeletons_of(shown, truth, part.window[:2]),
        looks=looks if len(looks) == len(shown) else None,
    )


def _true_look(image_id: int, number: int, truth: GroundTruth, verdicts: Verdicts | None) -> Look | None:
    if verdicts is None:
        return None
    colour = _colour(int(truth.labels.labels[number]), image_id, number, truth)
    return Look(colour, dashed=True, filled=False, word="missed") if number in verdicts.missed else Look(colour)


def _found_look(label: int, image_id: int, truth: GroundTruth, verdict: Verdict) -> Look:
    """Without a verdict, met a region to be ignored: as if it were right."""
    colour = _colour(label, image_id, verdict.truth, truth)
    if verdict.kind not in ("wrong", "double"):
        return Look(colour)
    return Look(colour, dashed=True, filled=False, sign=_SIGNS[verdict.kind], word=verdict.kind)


def _colour(label: int, image_id: int, number: int | None, truth: GroundTruth) -> Colour:
    """By class; where there is one class, by the object of this number, red where it is about none."""
    if len(truth.categories) > 1:
        return instance_colour(label)
    if number is None:
        return instance_colour(_RED)
    place = number - truth.labels.objects(truth.images[image_id]).start
    return instance_colour(place + (place >= _RED))


def skeletons_of(shown: Sequence[Shown], truth: GroundTruth, corner: tuple[int, int]) -> Skeletons | None:
    """The keypoints of objects, in a picture whose corner lies there; nothing where they are missing."""
    schema = truth.categories.keypoints
    if schema is None:
        return None
    keypoints = np.zeros((len(shown), len(schema), 3))
    for rows, item in zip(keypoints, shown, strict=True):
        if item.keypoints is not None:
            rows[:] = item.keypoints - np.array([*corner, 0])
    found = any(item.score is not None for item in shown)
    return Skeletons(keypoints, schema.skeleton, KEYPOINT_THRESHOLD if found else 0)


def crop_of(mask: Polygons | RLE | None, size: Size, within: Window) -> tuple[ByteArray, Window]:
    """What a mask has inside a window of its image, in its tightest window there; empty where that is nothing."""
    if mask is None:
        return np.zeros((0, 0), np.uint8), (0, 0, 0, 0)
    x1, y1, x2, y2 = rle_window(mask) if isinstance(mask, RLE) else polygon_window(mask, size)
    window = (max(x1, within[0]), max(y1, within[1]), min(x2, within[2]), min(y2, within[3]))
    if window[0] >= window[2] or window[1] >= window[3]:
        return np.zeros((0, 0), np.uint8), (0, 0, 0, 0)
    if isinstance(mask, RLE):
        return crop_rle(mask, window), window
    return rasterize_polygons(mask, window, size), window


def _mask(segmentation: Any) -> Polygons | RLE | None:
    try:
        return (
            rle_from_coco(segmentation, LARGEST_LABELLED)
            if isinstance(segmentation, Mapping)
            else polygons_of(segmentation)
        )
    except UserError:
        return None


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    """x, y, width, height -> x1, y1, x2, y2."""
    x, y, width, height = map(float, box)
    return x, y, x + width, y + height
