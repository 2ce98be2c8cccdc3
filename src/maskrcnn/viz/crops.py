"""Objects cut out of their image."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor

import numpy as np

from maskrcnn.structures.masks import ByteArray, Floats, Masks


def cut_out(image: ByteArray, masks: Masks | None, boxes: Floats, margin: int = 0) -> Iterator[ByteArray]:
    """Each object with what lies around it, transparent outside its mask.

    Args:
        image: (H, W, 3) uint8 RGB.
        masks: of the D objects; None, or an empty one: everything within the box is opaque.
        boxes: (D, 4) x1, y1, x2, y2.
        margin: pixels around the object.

    Yields:
        (h, w, 4) uint8 RGBA; a side is 0 where a box lies outside the image.
    """
    height, width = image.shape[:2]
    for index, box in enumerate(boxes.tolist()):
        left, top, right, bottom = window = _window(masks, index, box)
        x1, y1 = min(max(left - margin, 0), width), min(max(top - margin, 0), height)
        x2, y2 = max(min(right + margin, width), x1), max(min(bottom + margin, height), y1)
        alpha = np.zeros((y2 - y1, x2 - x1), np.uint8)
        inner = alpha[max(top - y1, 0) : bottom - y1, max(left - x1, 0) : right - x1]
        inner[:] = 255 if masks is None or window != tuple(masks.windows[index].tolist()) else masks.crop(index) * 255
        yield np.dstack([image[y1:y2, x1:x2], alpha])


def _window(masks: Masks | None, index: int, box: list[float]) -> tuple[int, int, int, int]:
    """Of the mask where there is one, else around the box."""
    if masks is not None and masks.windows[index].any():
        x1, y1, x2, y2 = masks.windows[index].tolist()
        return x1, y1, x2, y2
    x1, y1, x2, y2 = box
    return max(floor(x1), 0), max(floor(y1), 0), max(ceil(x2), 0), max(ceil(y2), 0)
