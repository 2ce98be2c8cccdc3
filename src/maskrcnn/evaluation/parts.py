"""What is looked at of an image: all of it, or a window of one that is too large to be looked at as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskrcnn.evaluation.predictions import Result, is_box
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import Verdicts
from maskrcnn.structures import Size
from maskrcnn.structures.labels import LabelStore
from maskrcnn.structures.large_image import LargeImage, Window
from maskrcnn.structures.masks import BoolArray, ByteArray, FloatArray

MOST_PIXELS = 50_000_000
"""Of an image that is shown as a whole."""

SIDE = 1000
"""Pixels of the side of a window."""


@dataclass(frozen=True)
class Part:
    """Pixels, and where in their image they lie.

    Attributes:
        pixels: (h, w, 3) uint8 RGB.
        window: x1, y1, x2, y2 in the image.
        size: (height, width) of the image.
    """

    pixels: ByteArray
    window: Window
    size: Size

    @classmethod
    def whole(cls, pixels: ByteArray) -> Part:
        """All of an image."""
        height, width = pixels.shape[:2]
        return cls(pixels, (0, 0, width, height), (height, width))

    @classmethod
    def of(cls, image: LargeImage, window: Window | None = None) -> Part:
        """A window of an image, by default all of it."""
        window = window or (0, 0, image.size[1], image.size[0])
        return cls(image.read(window), window, image.size)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the image lies outside."""
        return self.window == (0, 0, self.size[1], self.size[0])

    @property
    def place(self) -> str:
        """Where it lies, for people; nothing of a whole image."""
        x1, y1, x2, y2 = self.window
        return "" if self.is_whole else f", x {x1} to {x2}, y {y1} to {y2}"

    def meets(self, boxes: FloatArray) -> BoolArray:
        """(n,) whether boxes (n, 4) x1, y1, x2, y2 reach into it."""
        x1, y1, x2, y2 = self.window
        return np.asarray((boxes[:, :2] < [x2, y2]).all(axis=1) & (boxes[:, 2:] > [x1, y1]).all(axis=1))

    def numbers_of(self, image_id: int, truth: GroundTruth) -> list[int]:
        """The numbers of the image's objects that can be seen."""
        numbers = np.array(truth.labels.objects(truth.images[image_id]), np.int64)
        seen: list[int] = numbers[self.is_whole | self.meets(truth.labels.boxes.double().numpy()[numbers])].tolist()
        return seen

    def places_of(self, results: Sequence[Result]) -> list[int]:
        """The places of the results that can be seen; one without a box may be."""
        if self.is_whole:
            return list(range(len(results)))
        return [i for i, result in enumerate(results) if not is_box(result.get("bbox")) or self._sees(result["bbox"])]

    def _sees(self, box: Sequence[float]) -> bool:
        x, y, width, height = box
        return bool(self.meets(np.array([[x, y, x + width, y + height]]))[0])


def is_huge(size: Size) -> bool:
    """Whether an image of (height, width) is looked at in windows."""
    return size[0] * size[1] > MOST_PIXELS


def crowded(points: FloatArray, size: Size, side: int = SIDE) -> Window:
    """A window of an image where many of the points (n, 2) x, y lie; in its middle without any."""
    cells = (points // (side / 2)).astype(np.int64)
    found, counts = np.unique(cells, axis=0, return_counts=True)
    centre = (found[counts.argmax()] + 0.5) * side / 2 if len(found) else np.array(size[::-1]) / 2
    return around(centre, size, side)


def around(centre: FloatArray, size: Size, side: int = SIDE) -> Window:
    """A square window about a point x, y, moved into the image; smaller where that is."""
    height, width = size
    x1, y1 = np.clip(centre - side / 2, 0, np.maximum(np.array([width, height]) - side, 0)).astype(int).tolist()
    return x1, y1, min(x1 + side, width), min(y1 + side, height)


def worst_window(image_id: int, truth: GroundTruth, results: Sequence[Result], verdicts: Verdicts) -> Window:
    """Where most of what is missed, wrong or double lies; without any where most objects are."""
    labels, number = truth.labels, truth.images[image_id]
    missed = sorted(verdicts.missed)
    wrong = [
        result["bbox"]
        for result, verdict in zip(results, verdicts.found, strict=True)
        if verdict.kind in ("wrong", "double") and is_box(result.get("bbox"))
    ]
    if not missed and not wrong:
        return labelled_window(labels, number)
    measures = np.array(wrong, np.float64).reshape(-1, 4)
    points = np.concatenate([_centres(labels, missed), measures[:, :2] + measures[:, 2:] / 2])
    return crowded(points, truth.size_of(image_id))


def labelled_window(labels: LabelStore, number: int) -> Window:
    """Where most of the labels of an image are."""
    return crowded(_centres(labels, list(labels.objects(number))), labels.size(number))


def _centres(labels: LabelStore, numbers: Sequence[int]) -> FloatArray:
    boxes = labels.boxes.double().numpy()[list(numbers)].reshape(-1, 4)
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)
