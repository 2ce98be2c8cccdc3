from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from maskrcnn.masks.rle import encode_rle
from maskrcnn.masks.rle_crops import CROP, ENCODE_CROP, crop_rle, encode_rle_crop
from maskrcnn.masks.rle_string import counts_to_string
from maskrcnn.structures import RLE


def windows_of(bitmap: np.ndarray, count: int = 6) -> Iterator[tuple[int, int, int, int]]:
    rng = np.random.default_rng(bitmap.size)
    height, width = bitmap.shape
    yield 0, 0, width, height
    for _ in range(count):
        x1, x2 = sorted(rng.integers(0, width + 1, 2).tolist())
        y1, y2 = sorted(rng.integers(0, height + 1, 2).tolist())
        yield x1, y1, x2, y2


def test_every_way_crops_and_encodes_crops_as_the_full_frame_does(
    bitmaps: list[np.ndarray], coco_string: Callable[[np.ndarray], str]
) -> None:
    for bitmap in bitmaps:
        for window in windows_of(bitmap):
            x1, y1, x2, y2 = window
            piece = bitmap[y1:y2, x1:x2]
            alone = np.zeros_like(bitmap)
            alone[y1:y2, x1:x2] = piece
            for crop in CROP.values():
                np.testing.assert_array_equal(crop(encode_rle(bitmap), window), piece)
            for encode_crop in ENCODE_CROP.values():
                assert counts_to_string(encode_crop(piece, window, bitmap.shape).counts) == coco_string(alone)


@pytest.mark.parametrize("way", ENCODE_CROP)
def test_a_run_over_the_frame_edge_is_one_run(way: str) -> None:
    """Full columns: the run goes on from the bottom of a column at the top of the next."""
    assert ENCODE_CROP[way](np.ones((4, 2), np.uint8), (1, 0, 3, 4), (4, 5)).counts.tolist() == [4, 8, 8]


@pytest.mark.parametrize("way", CROP)
def test_crop_with_runs_through_many_columns(way: str) -> None:
    np.testing.assert_array_equal(CROP[way](RLE((4, 5), np.array([5, 10, 5])), (1, 1, 4, 3)), [[1, 1, 1], [1, 1, 1]])


def test_many_objects_in_a_large_frame_need_no_frame() -> None:
    """Frames of a gigapixel: a thousand of them in memory at any one moment would be noticed."""
    size = (1 << 15, 1 << 15)
    crop = np.ones((3, 2), np.uint8)
    for i in range(1000):
        window = (i, 2 * i, i + 2, 2 * i + 3)
        runs = encode_rle_crop(crop, window, size)
        assert runs.counts[:4].tolist() == [i * size[0] + 2 * i, 3, size[0] - 3, 3]
        assert crop_rle(runs, window).all()


def test_crops_must_fit_their_window() -> None:
    for window in [(0, 0, 3, 2), (-1, 0, 1, 2), (4, 0, 6, 2), (0, 3, 2, 5), (2, 0, 0, 2)]:
        with pytest.raises(ValueError, match="window"):
            encode_rle_crop(np.ones((2, 2), np.uint8), window, (4, 5))
    with pytest.raises(ValueError, match="window"):
        crop_rle(RLE((4, 5), np.array([20])), (0, 0, 6, 4))
