from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.masks.rle import DECODE, ENCODE, WINDOW, encode_rle, rle_area
from maskrcnn.masks.rle_string import counts_to_string
from maskrcnn.structures import RLE


def rle(counts: list[int], size: tuple[int, int]) -> RLE:
    return RLE(size, np.array(counts, np.int64))


@pytest.mark.parametrize("way", ENCODE)
def test_runs_go_down_the_columns_and_begin_with_zeros(way: str) -> None:
    bitmap = np.array([[0, 1, 1], [1, 1, 0]], np.uint8)
    assert ENCODE[way](bitmap).counts.tolist() == [1, 4, 1]
    assert ENCODE[way](np.array([[1, 0]], np.uint8)).counts.tolist() == [0, 1, 1]
    assert ENCODE[way](bitmap).size == (2, 3)


@pytest.mark.parametrize("way", ENCODE)
@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.int64])
def test_anything_but_zero_is_mask(way: str, dtype: type) -> None:
    bitmap = (np.arange(12).reshape(3, 4) % 3).astype(dtype)
    assert ENCODE[way](bitmap).counts.tolist() == ENCODE[way]((bitmap != 0).astype(np.uint8)).counts.tolist()


def test_every_way_encodes_as_pycocotools_and_decodes(
    bitmaps: list[np.ndarray], coco_string: Callable[[np.ndarray], str]
) -> None:
    for bitmap in bitmaps:
        for encode in ENCODE.values():
            runs = encode(bitmap)
            assert runs.counts.dtype == np.int64 and counts_to_string(runs.counts) == coco_string(bitmap)
        for decode in DECODE.values():
            assert decode(runs).dtype == np.uint8
            np.testing.assert_array_equal(decode(runs), bitmap)
        assert rle_area(runs) == bitmap.sum()


def test_every_way_finds_the_tightest_window(bitmaps: list[np.ndarray]) -> None:
    for bitmap in bitmaps:
        runs = encode_rle(bitmap)
        x, y, width, height = coco_mask.toBbox(coco_mask.encode(np.asfortranarray(bitmap))).tolist()
        for window in WINDOW.values():
            assert window(runs) == (x, y, x + width, y + height)


@pytest.mark.parametrize("way", WINDOW)
def test_empty_runs_of_ones_do_not_widen_the_window(way: str) -> None:
    """Other tools write such runs: here ones only in row 2 of column 1."""
    assert WINDOW[way](rle([1, 0, 5, 1, 1, 0, 1], (3, 3))) == (2, 0, 3, 1)
    assert WINDOW[way](rle([4, 0, 5], (3, 3))) == (0, 0, 0, 0)
