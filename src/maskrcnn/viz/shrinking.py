"""Pictures made smaller."""

from __future__ import annotations

import numpy as np

from maskrcnn.structures.masks import ByteArray


def at_most(picture: ByteArray, longest_side: int | None) -> ByteArray:
    """An (H, W, 3) picture whose longer side is made that short, by the mean over areas; as it is where it fits."""
    import cv2

    height, width = picture.shape[:2]
    if longest_side is None or max(height, width) <= longest_side:
        return picture
    share = longest_side / max(height, width)
    size = (max(round(width * share), 1), max(round(height * share), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
