from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.masks.packed_rle import PORTION, PackedRLE
from maskrcnn.masks.rle import encode_rle, rle_window
from maskrcnn.structures import RLE
from maskrcnn.structures.masks import ByteArray


@pytest.fixture
def bitmaps() -> ByteArray:
    """Four masks of unlike size, one of them empty, one that touches all borders."""
    bitmaps = np.zeros((4, 9, 7), np.uint8)
    bitmaps[0, 2:5, 1:4] = 1
    bitmaps[0, 3, 2] = 0
    bitmaps[2] = 1
    bitmaps[3, 8, 6] = 1
    return bitmaps


def packed(bitmaps: ByteArray) -> PackedRLE:
    return PackedRLE.from_rles(map(encode_rle, bitmaps), (9, 7))


def test_masks_come_back(bitmaps: ByteArray) -> None:
    masks = packed(bitmaps)
    assert len(masks) == 4 and masks.image_size == (9, 7)
    for index, (rle, bitmap) in enumerate(zip(masks, bitmaps, strict=True)):
        assert rle.size == (9, 7) and rle.counts.dtype == np.int64
        assert rle.counts.tolist() == encode_rle(bitmap).counts.tolist() == masks.rle(index).counts.tolist()


def test_windows_are_the_tightest_and_crops_lie_in_them(bitmaps: ByteArray) -> None:
    masks = packed(bitmaps)
    assert masks.windows.tolist() == [[1, 2, 4, 5], [0, 0, 0, 0], [0, 0, 7, 9], [6, 8, 7, 9]]
    for index, (x1, y1, x2, y2) in enumerate(masks.windows.tolist()):
        assert np.array_equal(masks.crop(index), bitmaps[index, y1:y2, x1:x2])


def test_selection_keeps_the_order_asked_for(bitmaps: ByteArray) -> None:
    some = packed(bitmaps)[np.array([3, 0, 0])]
    assert [rle_window(rle) for rle in some] == [(6, 8, 7, 9), (1, 2, 4, 5), (1, 2, 4, 5)]
    assert len(packed(bitmaps)[np.array([], np.int64)]) == 0


def test_none() -> None:
    masks = PackedRLE.from_rles([], (9, 7))
    assert len(masks) == 0 and list(masks) == [] and masks.windows.shape == (0, 4)


@pytest.mark.parametrize(
    ("size", "bytes_each"), [((9, 7), 1), ((250, 250), 2), ((3000, 4000), 4), ((70_000, 70_000), 8)]
)
def test_counts_take_no_more_than_the_frame_asks_for(size: tuple[int, int], bytes_each: int) -> None:
    pixels = size[0] * size[1]
    masks = PackedRLE.from_rles([RLE(size, np.array([pixels - 1, 1]))], size)
    assert masks.counts.nbytes == 2 * bytes_each and masks.rle(0).counts.tolist() == [pixels - 1, 1]


def test_windows_of_many_masks_are_those_of_each() -> None:
    """More than are found together, sparse and dense ones: some empty, some with runs through several columns."""
    rng = np.random.default_rng(0)
    bitmaps = [(rng.random((5, 6)) < rng.choice([0, 0.05, 0.5, 1])).astype(np.uint8) for _ in range(2 * PORTION + 3)]
    masks = PackedRLE.from_rles(map(encode_rle, bitmaps), (5, 6))
    assert masks.windows.tolist() == [list(rle_window(rle)) for rle in masks]


def test_windows_pass_over_runs_without_pixels() -> None:
    runs = [[0, 3, 0, 2, 15], [4, 0, 16], [7, 1, 0, 0, 2, 0, 10]]
    masks = PackedRLE.from_rles([RLE((4, 5), np.array(counts)) for counts in runs], (4, 5))
    assert masks.windows.tolist() == [[0, 0, 2, 4], [0, 0, 0, 0], [1, 3, 2, 4]]
