"""The best and the worst images of an evaluation, truth beside prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maskrcnn.evaluation.metrics import ImageMetrics, TypeMetrics
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.shown import Shown, found_object, overlay, true_objects
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import NONE_MISSED, Verdicts
from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.inline import inline_jpeg

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


def draw_example(
    image: ImageMetrics, truth: GroundTruth, results: Sequence[Result], verdicts: Verdicts, pixels: ByteArray
) -> Example:
    """Draw an image from its pixels, with results and what is said of them."""
    name = truth.labels.file_name(truth.images[image.image_id]) or str(image.image_id)
    objects = true_objects(image.image_id, truth, verdicts)
    return Example(image, name, _draw(pixels, objects, truth), draw_found(pixels, results, verdicts, truth))


def draw_truth(pixels: ByteArray, image_id: int, truth: GroundTruth) -> str:
    """The picture of an image with the objects to find, as the address of an inline JPEG."""
    return _draw(pixels, true_objects(image_id, truth, NONE_MISSED), truth)


def draw_found(pixels: ByteArray, results: Sequence[Result], verdicts: Verdicts, truth: GroundTruth) -> str:
    """The same with COCO results of the image, in the colours of `draw_truth`; what is wrong is marked."""
    pairs = zip(results, verdicts.found, strict=True)
    return _draw(pixels, [found_object(result, truth, verdict) for result, verdict in pairs], truth)


def overlay_truth(image_id: int, truth: GroundTruth, pixels: ByteArray) -> ByteArray:
    """The picture of an image with the objects to find, larger by a whole number where the image is small."""
    return overlay(pixels, true_objects(image_id, truth), truth)


def overlay_found(results: Sequence[Result], truth: GroundTruth, pixels: ByteArray) -> ByteArray:
    """The same with COCO results of it."""
    return overlay(pixels, [found_object(result, truth) for result in results], truth)


def _draw(image: ByteArray, shown: Sequence[Shown], truth: GroundTruth) -> str:
    """The picture with objects outlined, as the address of an inline JPEG."""
    return inline_jpeg(overlay(image, shown, truth), LONGEST_SIDE)
