from __future__ import annotations

import numpy as np

from maskrcnn.structures import MaskCrops
from maskrcnn.viz.crops import cut_out

IMAGE = np.arange(8 * 10 * 3, dtype=np.uint8).reshape(8, 10, 3)
BOXES = np.array([[2.2, 1.0, 5.5, 3.9], [8, 6, 14, 9]])


def test_pixels_and_transparency() -> None:
    masks = np.zeros((2, 8, 10), np.uint8)
    masks[0, 1:4, 2:6], masks[0, 2, 3] = 1, 0
    first, second = cut_out(IMAGE, MaskCrops.from_bitmaps(masks), BOXES, margin=2)
    assert first.shape == (6, 8, 4) and np.array_equal(first[..., :3], IMAGE[:6, :8])
    assert np.array_equal(first[..., 3], masks[0, :6, :8] * 255)
    assert second.shape == (4, 4, 4) and (second[2:, 2:, 3] == 255).all(), "an empty mask: its box, cut at the border"


def test_boxes_alone() -> None:
    first, outside = cut_out(IMAGE, None, np.array([[2.2, 1.0, 5.5, 3.9], [20, 20, 30, 30]]))
    assert np.array_equal(first[..., :3], IMAGE[1:4, 2:6]) and (first[..., 3] == 255).all()
    assert outside.size == 0
    assert list(cut_out(IMAGE, None, np.zeros((0, 4)))) == []
