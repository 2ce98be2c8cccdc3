from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.structures import MaskCrops
from maskrcnn.structures.masks import ByteArray


def example() -> ByteArray:
    """Three objects in a 4 x 6 frame: an L, nothing, a single pixel in the corner."""
    bitmaps = np.zeros((3, 4, 6), np.uint8)
    bitmaps[0, 1:4, 2] = 1
    bitmaps[0, 3, 2:5] = 1
    bitmaps[2, 0, 5] = 1
    return bitmaps


def test_bitmaps_are_kept_in_their_tightest_windows() -> None:
    crops = MaskCrops.from_bitmaps(example())
    assert crops.windows.tolist() == [[2, 1, 5, 4], [0, 0, 0, 0], [5, 0, 6, 1]]
    assert crops.offsets.tolist() == [0, 9, 9, 10]
    assert crops.pixels.tolist() == [1, 0, 0, 1, 0, 0, 1, 1, 1, 1]
    assert len(crops) == 3 and crops.image_size == (4, 6)


def test_bitmaps_come_back() -> None:
    assert np.array_equal(MaskCrops.from_bitmaps(example()).bitmaps(), example())
    assert np.array_equal(MaskCrops.from_bitmaps(example().astype(bool)).bitmaps(), example())


def test_one_crop() -> None:
    crops = MaskCrops.from_bitmaps(example())
    assert crops.crop(0).tolist() == [[1, 0, 0], [1, 0, 0], [1, 1, 1]]
    assert crops.crop(1).shape == (0, 0)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64])
def test_crops_of_any_type_and_memory_order_are_packed_row_by_row(dtype: type) -> None:
    pixels = np.array([[1, 0, 1], [0, 0, 1]], dtype)
    crops = MaskCrops.from_crops([np.asfortranarray(pixels), pixels[:, ::-1]], [(1, 1, 4, 3), (0, 0, 3, 2)], (5, 5))
    assert crops.pixels.dtype == np.uint8
    assert crops.crop(0).tolist() == pixels.astype(int).tolist()
    assert crops.crop(1).tolist() == pixels[:, ::-1].astype(int).tolist()


def test_the_crops_own_their_pixels() -> None:
    pixels = np.ones((2, 2), np.uint8)
    crops = MaskCrops.from_crops([pixels], [(0, 0, 2, 2)], (2, 2))
    pixels[:] = 0
    assert crops.bitmaps().all()


def test_no_objects() -> None:
    crops = MaskCrops.from_crops([], [], (4, 6))
    assert len(crops) == 0
    assert crops.windows.shape == (0, 4) and crops.offsets.tolist() == [0]
    assert crops.bitmaps().shape == (0, 4, 6)
    assert len(MaskCrops.from_bitmaps(np.zeros((0, 4, 6)))) == 0
