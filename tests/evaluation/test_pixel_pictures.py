"""Label maps to look at."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from maskrcnn.evaluation import Metrics
from maskrcnn.evaluation.pictures import LONGEST_SIDE
from maskrcnn.evaluation.pixel_pictures import PixelExamples, draw_pixel_examples
from maskrcnn.evaluation.report import render_report
from maskrcnn.evaluation.semantic import Confusion
from maskrcnn.structures.large_image import WholeImage
from maskrcnn.structures.masks import ByteArray
from maskrcnn.structures.semantic import IGNORED


def half(right: int) -> tuple[ByteArray, ByteArray]:
    """Of 10 known pixels so many are right; 10 are unknown."""
    truth, found = np.zeros((2, 10), np.uint8), np.zeros((2, 10), np.uint8)
    truth[1], found[0, right:] = IGNORED, 1
    return truth, found


def test_the_worst_and_the_best_are_kept() -> None:
    examples = PixelExamples(num_worst=2, num_best=1)
    for number, right in enumerate((5, 9, 1, 7, 3, 10, 2)):
        examples.add(number, f"{number}.png", *half(right))
    examples.add(99, "unknown.png", np.full((2, 2), IGNORED, np.uint8), np.zeros((2, 2), np.uint8))
    assert [(kept.image_id, kept.accuracy) for kept in examples.worst_first()] == [(2, 0.1), (6, 0.2), (5, 1.0)]


def test_large_maps_are_kept_small_and_drawn_over_their_image() -> None:
    """Left half of class 0, found on the right: the picture of the truth is tinted left, the other one right."""
    width = 3 * LONGEST_SIDE
    truth = np.ones((90, width), np.uint8)
    truth[:, : width // 2] = 0
    examples = PixelExamples()
    examples.add(7, "wide.png", truth, 1 - truth)
    (kept,) = examples.worst_first()
    assert kept.stride == 3 and kept.truth.shape == (30, LONGEST_SIDE) and kept.accuracy == 0
    drawn = draw_pixel_examples(
        [kept], lambda number: WholeImage(np.full((90, width, 3), number * 20, np.uint8)), ["cell"]
    )
    pictures = [_pixels(drawn[0].truth), _pixels(drawn[0].prediction)]
    left, right = LONGEST_SIDE // 3, LONGEST_SIDE * 3 // 4
    for picture, (tinted, plain) in zip(pictures, ((left, right), (right, left)), strict=True):
        assert np.ptp(picture[28, plain].astype(int)) < 12 < np.ptp(picture[28, tinted].astype(int))


def _pixels(address: str) -> ByteArray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_the_report_shows_them(metrics: Metrics, hostile_name: str) -> None:
    truth, found = half(4)
    examples, confusion = PixelExamples(), Confusion(["cell"])
    examples.add(3, hostile_name, truth, found)
    confusion.add(truth, found)
    drawn = draw_pixel_examples(examples.worst_first(), lambda _: WholeImage(np.zeros((2, 10, 3), np.uint8)), ["cell"])
    page = render_report(replace(metrics, semantic=confusion.metrics()), pixels=drawn)
    assert "(image 3): 0.400 of the pixels are right" in page and hostile_name not in page
    assert page.count('<figure class="pair">') == 1 and page.count("data:image/jpeg") == 2
