"""One error as a small picture: cut out around it, the object to find dashed, the detection solid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

import numpy as np

from maskrcnn.evaluation.explanation import ErrorCase
from maskrcnn.evaluation.metrics import IouType, similarity_name
from maskrcnn.evaluation.predictions import Result, of_type
from maskrcnn.evaluation.shown import Shown, crop_of, found_object, skeletons_of, true_object
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.masks.rle import Window
from maskrcnn.structures import MaskCrops, Size
from maskrcnn.structures.large_image import LargeImage
from maskrcnn.structures.masks import ByteArray, FloatArray
from maskrcnn.viz.drawing import Drawing
from maskrcnn.viz.inline import inline_jpeg
from maskrcnn.viz.looks import Look
from maskrcnn.viz.overlay import draw_overlay

TRUE_LOOK = Look((255, 255, 0), dashed=True, filled=False)
FOUND_LOOK = Look((60, 165, 255), filled=False)
BETTER_LOOK = Look((255, 255, 255), filled=False)
"""Of the object, the detection, and the better detection of a double; the style sheet of the report says so too."""

SIDE, QUALITY = 320, 75
"""Pixels of a picture's longest side, and the quality of its JPEG."""

SURROUNDINGS, LEAST_SIDE = 0.3, 48
"""What is shown around the objects, as a share of their size, and the least side of what is cut out, pixels."""


@dataclass(frozen=True)
class CasePicture:
    """An error to look at.

    Attributes:
        picture: its `data:` address.
        caption: classes, score and IoU or OKS.
        image: the image's file name and id.
    """

    picture: str
    caption: str
    image: str


class CaseDrawer:
    """Draws the errors that `error_cases` names by position.

    Args:
        truth: what was to be found.
        predictions: COCO results.
        iou_type: what was compared.
    """

    def __init__(self, truth: GroundTruth, predictions: Sequence[Result], iou_type: IouType) -> None:
        self._truth = truth
        self._results = of_type(predictions, truth, iou_type)
        self._numbers = [number for _, number in truth.objects_compared(iou_type)]
        self._ids = list(truth.images)
        self._iou_type = iou_type

    def image_id(self, case: ErrorCase) -> int:
        """Of the image that a case is in."""
        return self._ids[case.image]

    def draw(self, case: ErrorCase, image: LargeImage) -> CasePicture:
        """Draw a case from its image."""
        image_id, truth = self.image_id(case), self._truth
        better = self._found(case.better if case.kind == "double" else None, BETTER_LOOK)
        found = self._found(case.found, FOUND_LOOK)
        number = None if case.truth is None else self._numbers[case.truth]
        wanted = [] if number is None else [true_object(image_id, number, truth, TRUE_LOOK)]
        name = truth.labels.file_name(truth.images[image_id])
        shown = [_as_compared(item, self._iou_type) for item in (*better, *wanted, *found)]
        caption = _caption(case, wanted, found, truth.categories.names, similarity_name(self._iou_type))
        return CasePicture(
            inline_jpeg(_cut_out(image, shown, truth), SIDE, QUALITY), caption, f"{name} (image {image_id})"
        )

    def _found(self, position: int | None, look: Look) -> list[Shown]:
        return [] if position is None else [found_object(self._results[position], self._truth, look=look)]


def _as_compared(item: Shown, iou_type: IouType) -> Shown:
    """With the geometry that was compared alone; keypoints come with the box, without one with that around them."""
    if iou_type == "mask":
        return replace(item, keypoints=None)
    if iou_type == "box" or item.keypoints is None:
        return replace(item, mask=None, keypoints=None)
    told = item.keypoints[item.keypoints[:, 2] > 0, :2]
    (x1, y1), (x2, y2) = (told.min(axis=0), told.max(axis=0)) if len(told) else np.zeros((2, 2))
    return replace(item, mask=None, box=item.box or (x1, y1, x2, y2))


def _caption(
    case: ErrorCase, wanted: Sequence[Shown], found: Sequence[Shown], names: Sequence[str], similarity: str
) -> str:
    parts = [f"found {names[item.label]} {item.score:.2f}" for item in found]
    if not found or case.kind in ("classification", "both"):
        parts += [f"true {names[item.label]}" for item in wanted]
    if found and wanted:
        parts.append(f"{similarity} {case.iou:.2f}")
    if not found:
        parts.append(f"{case.weight:.0f} pixels")
    return ", ".join(parts)


def _cut_out(image: LargeImage, shown: Sequence[Shown], truth: GroundTruth) -> ByteArray:
    """The part of an image around objects, with these outlined."""
    size = image.size
    everything = (0, 0, size[1], size[0])
    crops, windows = zip(*(crop_of(item.mask, size, everything) for item in shown), strict=True)
    boxes = np.array([item.box or window for item, window in zip(shown, windows, strict=True)], np.float64)
    whole = np.array(windows)
    has_mask = whole.any(axis=1, keepdims=True)
    x1, y1, x2, y2 = _frame(np.where(has_mask, whole, boxes), size)
    corner = np.array([x1, y1, x1, y1])
    return draw_overlay(
        image.read((x1, y1, x2, y2)),
        MaskCrops.from_crops(crops, np.where(has_mask, whole - corner, 0).tolist(), (y2 - y1, x2 - x1)),
        boxes - corner,
        np.zeros(len(shown), np.int64),
        None,
        ("",),
        skeletons_of(shown, truth, (x1, y1)),
        drawing=Drawing(("masks",), max(round(2 * max(x2 - x1, y2 - y1) / SIDE), 2), SIDE),
        looks=[item.look for item in shown if item.look is not None],
    )


def _frame(extents: FloatArray, size: Size) -> Window:
    """A square around all of (n, 4) x1, y1, x2, y2 and what is near them, as far as it lies in the image."""
    low = np.clip(extents[:, :2].min(axis=0), 0, (size[1], size[0]))
    high = np.clip(extents[:, 2:].max(axis=0), low, (size[1], size[0]))
    side = max(ceil((high - low).max() * (1 + 2 * SURROUNDINGS)), LEAST_SIDE)
    x1, x2 = _stretch((low[0] + high[0]) / 2, side, size[1])
    y1, y2 = _stretch((low[1] + high[1]) / 2, side, size[0])
    return x1, y1, x2, y2


def _stretch(middle: float, side: int, length: int) -> tuple[int, int]:
    """So many pixels around the middle, moved into an image of that length; all of it where it is shorter."""
    start = min(max(floor(middle - side / 2), 0), max(length - side, 0))
    return start, min(start + side, length)
