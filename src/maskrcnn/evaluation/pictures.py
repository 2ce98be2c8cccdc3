"""The best and the worst images of an evaluation, truth beside prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from maskrcnn.evaluation.metrics import ImageMetrics, TypeMetrics
from maskrcnn.evaluation.parts import Part
from maskrcnn.evaluation.predictions import Result
from maskrcnn.evaluation.shown import Shown, found_object, overlay, true_objects
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import NONE_MISSED, Verdicts
from maskrcnn.structures.large_image import LargeImage
from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.inline import inline_jpeg

LoadImage = Callable[[int], LargeImage]
"""Gives the image with this id, whose pixels are (h, w, 3) uint8 RGB."""

LONGEST_SIDE, QUALITY = 960, 76
"""Pixels of a picture, and of its JPEG: a report stays a few megabytes."""


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
    image: ImageMetrics, truth: GroundTruth, results: Sequence[Result], verdicts: Verdicts, part: Part
) -> Example:
    """Draw an image or a part of it, with results of the image and what is said of them."""
    name = truth.labels.file_name(truth.images[image.image_id]) or str(image.image_id)
    objects = true_objects(part, image.image_id, truth, verdicts)
    pictures = _draw(part, objects, truth), draw_found(part, results, verdicts, truth)
    return Example(image, name + part.place, *pictures)


def draw_truth(part: Part, image_id: int, truth: GroundTruth) -> str:
    """The picture of an image, or of a part, with the objects to find, as the address of an inline JPEG."""
    return _draw(part, true_objects(part, image_id, truth, NONE_MISSED), truth)


def draw_found(part: Part, results: Sequence[Result], verdicts: Verdicts, truth: GroundTruth) -> str:
    """The same with COCO results of the image, in the colours of `draw_truth`; what is wrong is marked."""
    shown = [found_object(results[i], truth, verdicts.found[i]) for i in part.places_of(results)]
    return _draw(part, shown, truth)


def overlay_truth(part: Part, image_id: int, truth: GroundTruth) -> ByteArray:
    """The picture of an image, or of a part, with the objects to find; larger by a whole number where it is small."""
    return overlay(part, true_objects(part, image_id, truth), truth)


def overlay_found(part: Part, results: Sequence[Result], truth: GroundTruth) -> ByteArray:
    """The same with COCO results of it."""
    return overlay(part, [found_object(results[i], truth) for i in part.places_of(results)], truth)


def _draw(part: Part, shown: Sequence[Shown], truth: GroundTruth) -> str:
    """The picture with objects outlined, as the address of an inline JPEG."""
    return inline_jpeg(overlay(part, shown, truth), LONGEST_SIDE, QUALITY)
