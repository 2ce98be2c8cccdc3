"""A large image and its objects made small enough to be drawn as one picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from maskrcnn.data.channels import RGB
from maskrcnn.large.readers import opened
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.prediction import Prediction
from maskrcnn.structures import Size
from maskrcnn.structures.large_image import LargeImage, Window
from maskrcnn.structures.masks import ByteArray, Float32Array

MAX_SIDE = 4096
"""Pixels; a picture of this size shows what is where."""

MAX_PIXELS = 50_000_000
"""Images up to this many are drawn as they are."""

_STRIP = 1 << 24
"""Pixels that are read at a time."""


class Overview:
    """The objects of an image, which may come in parts, in a smaller image where it is large.

    Every pixel of that one is the mean of a square. An object takes what it takes there.

    Args:
        in_tiles: the image was read in parts; it is read so again, since others may not know its kind.
    """

    def __init__(self, in_tiles: bool = False) -> None:
        self._in_tiles = in_tiles
        self._parts: list[Prediction] = []

    def add(self, part: Prediction) -> None:
        """Some objects of the image, or all."""
        factor = _factor(part.image_size)
        self._parts.append(part if factor == 1 else _reduced(part, factor))
        self._size = part.image_size

    def prediction(self) -> Prediction:
        """All objects, best score first.

        Raises:
            UserError: the image cannot be read again.
        """
        found = Prediction.concatenate(self._parts)
        if len(self._parts) > 1:
            found = found[np.argsort(-found.scores, kind="stable")]
        factor = _factor(self._size)
        if factor > 1 or self._in_tiles:
            with opened(found.source if found.channels.rgb else found.image()) as image:
                found = replace(found, source=_reduced_pixels(image, factor), channels=RGB)
        return found


def seen_in(found: Prediction, pixels: ByteArray, window: Window) -> Prediction:
    """The objects that reach into a window of their image, as if its pixels (h, w, 3) were all of it."""
    x1, y1, x2, y2 = window
    reaches = ((found.boxes[:, :2] < [x2, y2]) & (found.boxes[:, 2:] > [x1, y1])).all(axis=1)
    found = found[np.flatnonzero(reaches)]
    size = (y2 - y1, x2 - x1)
    masks = ColumnRuns.from_packed(found.run_lengths).within(window).to_packed(size) if found.has_masks else None
    moved = None if found.keypoints is None else (found.keypoints - np.array([x1, y1, 0])).astype(np.float32)
    return replace(
        found,
        boxes=np.clip(found.boxes - [x1, y1, x1, y1], 0, [x2 - x1, y2 - y1] * 2).astype(np.float32),
        keypoints=moved,
        image_size=size,
        mask_probs=None,
        given_masks=masks,
        source=pixels,
        channels=RGB,
    )


def _factor(size: Size) -> int:
    height, width = size
    return 1 if height * width <= MAX_PIXELS else -(-max(height, width) // MAX_SIDE)


def _reduced(found: Prediction, factor: int) -> Prediction:
    """The objects in the frame of the smaller image; its pixels are still to come."""
    height, width = found.image_size
    size = (-(-height // factor), -(-width // factor))
    masks = ColumnRuns.from_packed(found.run_lengths).every(factor).to_packed(size) if found.has_masks else None
    return replace(
        found,
        boxes=(found.boxes / factor).astype(np.float32),
        keypoints=_divided(found.keypoints, factor),
        image_size=size,
        mask_probs=None,
        given_masks=masks,
    )


def _divided(keypoints: Float32Array | None, factor: int) -> Float32Array | None:
    return None if keypoints is None else (keypoints / np.array([factor, factor, 1])).astype(np.float32)


def _reduced_pixels(image: LargeImage, factor: int) -> ByteArray:
    """Strip by strip; the last row and column may be means of fewer pixels."""
    import cv2

    height, width = image.size
    size = (-(-height // factor), -(-width // factor))
    pixels = np.empty((*size, 3), np.uint8)
    rows = max(_STRIP // (width * factor), 1)
    for top in range(0, size[0], rows):
        bottom = min(top + rows, size[0])
        strip = image.read((0, top * factor, width, min(bottom * factor, height)))
        below, right = (bottom - top) * factor - strip.shape[0], size[1] * factor - width
        whole = np.pad(strip, ((0, below), (0, right), (0, 0)), mode="edge") if below or right else strip
        pixels[top:bottom] = cv2.resize(whole, (size[1], bottom - top), interpolation=cv2.INTER_AREA)
    return pixels
