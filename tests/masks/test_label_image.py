from __future__ import annotations

import numpy as np

from maskrcnn.masks.label_image import label_image
from maskrcnn.structures import MaskCrops


def test_the_first_owns_what_it_shares() -> None:
    masks = np.zeros((2, 3, 5), np.uint8)
    masks[0, 1, 1:4], masks[1, :, 3:] = 1, 1
    numbers = label_image(MaskCrops.from_bitmaps(masks))
    assert numbers.tolist() == [[0, 0, 0, 2, 2], [0, 1, 1, 1, 2], [0, 0, 0, 2, 2]]
    assert not label_image(MaskCrops.from_bitmaps(masks[:0])).any()
