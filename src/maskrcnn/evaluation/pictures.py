"""The best and the worst images of an evaluation, truth beside prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.evaluation.forms import Annotation, is_box
from maskrcnn.evaluation.inputs import GroundTruth
from maskrcnn.evaluation.metrics import ImageMetrics, TypeMetrics
from maskrcnn.masks.polygons import polygon_window, rasterize_polygons
from maskrcnn.masks.rle import Window, rle_window
from maskrcnn.masks.rle_coco import rle_from_coco
from maskrcnn.masks.rle_crops import crop_rle
from maskrcnn.structures import MaskCrops, Polygons, Size
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.inline import inline_jpeg
from maskrcnn.viz.overlay import draw_overlay
from maskrcnn.viz.skeletons import KEYPOINT_THRESHOLD, Skeletons

LoadImage = Callable[[int], ByteArray]
"""Gives the (H, W, 3) uint8 RGB pixels of the image with this id."""

LONGEST_SIDE = 720
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
    predictions: Iterable[Annotation],
    score_threshold: float,
    load_image: LoadImage,
) -> list[Example]:
    """Draw `images`, with the predictions at or above `score_threshold`."""
    wanted = {image.image_id for image in images}
    objects = _by_image(truth.annotations, wanted)
    found = _by_image((p for p in predictions if p["score"] >= score_threshold), wanted)
    return [
        _example(image, truth, objects[image.image_id], found[image.image_id], load_image(image.image_id))
        for image in images
    ]


def _example(
    image: ImageMetrics,
    truth: GroundTruth,
    objects: Sequence[Annotation],
    found: Sequence[Annotation],
    pixels: ByteArray,
) -> Example:
    name = str(truth.images[image.image_id].get("file_name", image.image_id))
    return Example(image, name, _draw(pixels, objects, truth), _draw(pixels, found, truth))


def _by_image(entries: Iterable[Annotation], wanted: set[int]) -> dict[int, list[Annotation]]:
    groups: dict[int, list[Annotation]] = {image_id: [] for image_id in wanted}
    for entry in entries:
        if entry["image_id"] in wanted:
            groups[entry["image_id"]].append(entry)
    return groups


def _draw(image: ByteArray, entries: Sequence[Annotation], truth: GroundTruth) -> str:
    """The picture with the objects `entries` outlined, as the address of an inline JPEG."""
    size = (image.shape[0], image.shape[1])
    crops = [_crop(entry.get("segmentation"), size) for entry in entries]
    masks = MaskCrops.from_crops([pixels for pixels, _ in crops], [window for _, window in crops], size)
    boxes = [_box(entry, window) for entry, (_, window) in zip(entries, crops, strict=True)]
    scores = [float(entry["score"]) for entry in entries if "score" in entry]
    overlay = draw_overlay(
        image,
        masks,
        np.array(boxes).reshape(-1, 4),
        np.array([truth.categories.label_of(entry["category_id"]) for entry in entries], np.int64),
        np.array(scores) if len(scores) == len(entries) else None,
        truth.categories.names,
        _skeletons(entries, truth),
    )
    return inline_jpeg(overlay, LONGEST_SIDE)


def _skeletons(entries: Sequence[Annotation], truth: GroundTruth) -> Skeletons | None:
    """The keypoints of annotations or predictions; nothing where they are missing or senseless."""
    schema = truth.categories.keypoints
    if schema is None:
        return None
    keypoints = np.zeros((len(entries), len(schema), 3))
    for rows, entry in zip(keypoints, entries, strict=True):
        if truth.is_usable(entry.get("keypoints"), "keypoints", entry["image_id"]):
            rows[:] = np.reshape(entry["keypoints"], (-1, 3))
    keypoints[..., :2] += PIXEL_CENTRE
    found = any("score" in entry for entry in entries)
    return Skeletons(keypoints, schema.skeleton, KEYPOINT_THRESHOLD if found else 0)


def _crop(segmentation: object, size: Size) -> tuple[ByteArray, Window]:
    """A COCO mask inside its tightest window; empty where there is none that can be read."""
    try:
        if isinstance(segmentation, Mapping):
            rle = rle_from_coco(segmentation)
            return crop_rle(rle, rle_window(rle)), rle_window(rle)
        if isinstance(segmentation, list) and segmentation:
            rings = tuple(np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in segmentation)
            window = polygon_window(Polygons(rings), size)
            return rasterize_polygons(Polygons(rings), window, size), window
    except (UserError, ValueError):  # the evaluation has left it out, with a warning
        pass
    return np.zeros((0, 0), np.uint8), (0, 0, 0, 0)


def _box(entry: Annotation, window: Window) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of an annotation, or of its mask where it gives no box."""
    if not is_box(entry.get("bbox")):
        x1, y1, x2, y2 = window
        return float(x1), float(y1), float(x2), float(y2)
    x, y, width, height = (float(value) for value in entry["bbox"])
    return x, y, x + width, y + height
