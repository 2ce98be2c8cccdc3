"""Masks in one picture of numbers: which object each pixel belongs to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maskrcnn.structures.masks import Masks


def label_image(masks: Masks) -> npt.NDArray[np.int32]:
    """(H, W) 0 where no object is, 1 for the pixels of the first, ...; the first owns what it shares."""
    numbers = np.zeros(masks.image_size, np.int32)
    windows = masks.windows.tolist()
    for index in reversed(range(len(masks))):
        x1, y1, x2, y2 = windows[index]
        numbers[y1:y2, x1:x2][masks.crop(index).view(bool)] = index + 1
    return numbers
