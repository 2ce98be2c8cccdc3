"""The best and the worst images of an evaluation, truth beside prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.evaluation.metrics import ImageMetrics, TypeMetrics
from maskrcnn.evaluation.predictions import Result, is_box, is_list_of_numbers, is_mask, polygons_of
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.masks.polygons import polygon_window, rasterize_polygons
from maskrcnn.masks.rle import Window, rle_window
from maskrcnn.masks.rle_coco import rle_from_coco
from maskrcnn.masks.rle_crops import crop_rle
from maskrcnn.structures import RLE, MaskCrops, Polygons, Size
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import ByteArray, FloatArray
from maskrcnn.viz.inline import inline_jpeg
from maskrcnn.viz.overlay import draw_overlay
from maskrcnn.viz.skeletons import KEYPOINT_THRESHOLD, Skeletons

LoadImage = Callable[[int], ByteArray]
"""Gives the (H, W, 3) uint8 RGB pixels of the image with this id."""

LONGEST_SIDE = 1000
"""Pictures are shrunk to this many pixels, so that a report stays a few megabytes."""


@dataclass(frozen=True)
class Example:
    """One image to look at.

    Attributes:
        image: how it went.
        name: its file name.
        truth: `data:` address of the picture with the objects to find.
        prediction: the same with the detections.
    """

    image: ImageMetrics
    name: str
    truth: str
    prediction: str


def choose_images(metrics: TypeMetrics, num_worst: int, num_best: int) -> tuple[list[ImageMetrics], list[ImageMetrics]]:
    """The worst images, worst first, and of the others the best, best first; by AP50, then by AP.

    Images without object and without detection have nothing to show and are left out.
    """
    shown = [i for i in metrics.images if i.true_positives + i.false_positives + i.false_negatives > 0]
    ranked = sorted(shown, key=lambda image: (image.ap50, image.ap))
    num_worst = min(num_worst, max(len(ranked) - num_best, (len(ranked) + 1) // 2))  # of few images half are the worst
    worst, others = ranked[:num_worst], ranked[num_worst:]
    return worst, others[::-1][:num_best]


def make_examples(
    images: Sequence[ImageMetrics],
    truth: GroundTruth,
    predictions: Iterable[Result],
    score_threshold: float,
    load_image: LoadImage,
) -> list[Example]:
    """Draw `images`, with the predictions at or above `score_threshold`."""
    found: dict[int, list[_Shown]] = {image.image_id: [] for image in images}
    for result in predictions:
        if result["score"] >= score_threshold and result["image_id"] in found:
            found[result["image_id"]].append(_found_object(result, truth))
    return [_example(image, truth, found[image.image_id], load_image(image.image_id)) for image in images]


def draw_truth(pixels: ByteArray, image_id: int, truth: GroundTruth) -> str:
    """The picture of an image with the objects to find, as the address of an inline JPEG."""
    return _draw(pixels, _true_objects(image_id, truth), truth)


def draw_found(
    pixels: ByteArray, image_id: int, predictions: Iterable[Result], score_threshold: float, truth: GroundTruth
) -> str:
    """The same with the detections at or above a score."""
    own = (found for found in predictions if found["image_id"] == image_id and found["score"] >= score_threshold)
    return _draw(pixels, [_found_object(found, truth) for found in own], truth)


def overlay_truth(image_id: int, truth: GroundTruth, pixels: ByteArray) -> ByteArray:
    """The picture of an image with the objects to find, larger by a whole number where the image is small."""
    return _overlay(pixels, _true_objects(image_id, truth), truth)


def overlay_found(results: Sequence[Result], truth: GroundTruth, pixels: ByteArray) -> ByteArray:
    """The same with COCO results of it."""
    return _overlay(pixels, [_found_object(result, truth) for result in results], truth)


@dataclass(frozen=True)
class _Shown:
    """One object in a picture.

    Attributes:
        label: its class.
        box: x1, y1, x2, y2; None: that of the mask.
        mask: None where there is none.
        keypoints: (P, 3) in continuous pixels, or None.
        score: None for ground truth.
    """

    label: int
    box: tuple[float, float, float, float] | None
    mask: Polygons | RLE | None
    keypoints: FloatArray | None
    score: float | None = None


def _example(image: ImageMetrics, truth: GroundTruth, found: Sequence[_Shown], pixels: ByteArray) -> Example:
    name = truth.labels.file_name(truth.images[image.image_id]) or str(image.image_id)
    objects = _true_objects(image.image_id, truth)
    return Example(image, name, _draw(pixels, objects, truth), _draw(pixels, found, truth))


def _true_objects(image_id: int, truth: GroundTruth) -> list[_Shown]:
    labels, size = truth.labels, truth.size_of(image_id)
    return [
        _Shown(
            int(labels.labels[number]),
            _corners(labels.stated_boxes[number].tolist()),
            labels.mask(number, size),
            labels.keypoints_of(number),
        )
        for number in labels.objects(truth.images[image_id])
        if not labels.stuff[number]
    ]


def _found_object(result: Result, truth: GroundTruth) -> _Shown:
    """A COCO result; what is senseless in it and was not compared is not shown."""
    label, size = truth.categories.label_of(result["category_id"]), truth.size_of(result["image_id"])
    box = _corners(result["bbox"]) if is_box(result.get("bbox")) else None
    mask = _mask(result["segmentation"]) if is_mask(result.get("segmentation"), size) else None
    keypoints, schema = None, truth.categories.keypoints
    if schema is not None and is_list_of_numbers(result.get("keypoints"), 3 * len(schema)):
        keypoints = np.reshape(result["keypoints"], (-1, 3)) + np.array([PIXEL_CENTRE, PIXEL_CENTRE, 0])
    return _Shown(label, box, mask, keypoints, float(result["score"]))


def _draw(image: ByteArray, shown: Sequence[_Shown], truth: GroundTruth) -> str:
    """The picture with objects outlined, as the address of an inline JPEG."""
    return inline_jpeg(_overlay(image, shown, truth), LONGEST_SIDE)


def _overlay(image: ByteArray, shown: Sequence[_Shown], truth: GroundTruth) -> ByteArray:
    size = (image.shape[0], image.shape[1])
    crops = [_crop(item.mask, size) for item in shown]
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
    )


def _skeletons(shown: Sequence[_Shown], truth: GroundTruth) -> Skeletons | None:
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


def _crop(mask: Polygons | RLE | None, size: Size) -> tuple[ByteArray, Window]:
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
