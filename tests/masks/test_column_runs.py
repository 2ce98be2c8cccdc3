"""Runs in columns: moved to another frame and back, they are the masks they were."""

from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle


def packed(bitmaps: np.ndarray) -> PackedRLE:
    return PackedRLE.from_rles(map(encode_rle, bitmaps), bitmaps.shape[1:])


def some_bitmaps(rng: np.random.Generator, number: int, size: tuple[int, int]) -> np.ndarray:
    """Of every density, with an empty and a full one among them."""
    bitmaps = rng.random((number, *size)) < rng.random((number, 1, 1))
    bitmaps[0], bitmaps[-1] = False, True
    return bitmaps.astype(np.uint8)


@pytest.mark.parametrize("size", [(7, 5), (1, 6), (6, 1)])
def test_masks_are_moved_into_a_larger_frame(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    bitmaps = some_bitmaps(rng, 30, size)
    for x, y in ((0, 0), (3, 4)):
        frame = np.zeros((30, size[0] + 4, size[1] + 3), np.uint8)
        frame[:, y : y + size[0], x : x + size[1]] = bitmaps
        runs = ColumnRuns.from_packed(packed(bitmaps), (x, y))
        moved, expected = runs.to_packed(frame.shape[1:]), packed(frame)
        assert np.array_equal(moved.counts, expected.counts)
        assert moved.counts.dtype == expected.counts.dtype
        assert np.array_equal(moved.offsets, expected.offsets)
        assert np.array_equal(runs.windows(), expected.windows)
        assert np.array_equal(runs.areas(), bitmaps.sum((1, 2)))


def test_a_run_over_two_columns_by_hand() -> None:
    """Rows 1 and 2 of column 0 and row 0 of column 1 are one run of three pixels in a frame of height 3, two in 4."""
    bitmap = np.array([[[0, 1], [1, 0], [1, 0]]], np.uint8)
    masks = packed(bitmap)
    assert masks.counts.tolist() == [1, 3, 2]
    runs = ColumnRuns.from_packed(masks)
    assert runs.columns.tolist() == [0, 1]
    assert runs.tops.tolist() == [1, 0]
    assert runs.bottoms.tolist() == [3, 1]
    assert runs.to_packed((3, 2)).counts.tolist() == [1, 3, 2]
    assert runs.to_packed((4, 2)).counts.tolist() == [1, 2, 1, 1, 3]


def test_crops_subsets_and_bitmaps() -> None:
    rng = np.random.default_rng(1)
    bitmaps = some_bitmaps(rng, 12, (9, 8))
    runs = ColumnRuns.from_packed(packed(bitmaps))
    order = np.array([3, 11, 0, 3])
    again = ColumnRuns.concatenate([ColumnRuns.from_bitmap(bitmap, (0, 0)) for bitmap in bitmaps])
    for name in ("columns", "tops", "bottoms", "offsets"):
        assert np.array_equal(getattr(again, name), getattr(runs, name)), name
    for place, index in enumerate(order.tolist()):
        for x1, y1, x2, y2 in ((0, 0, 8, 9), (2, 3, 7, 5), (4, 4, 4, 6), (-2, -1, 3, 4)):
            expected = np.zeros((y2 - y1, x2 - x1), np.uint8)
            inside = bitmaps[index, max(y1, 0) : y2, max(x1, 0) : x2]
            expected[expected.shape[0] - inside.shape[0] :, expected.shape[1] - inside.shape[1] :] = inside
            assert np.array_equal(runs[order].crop(place, (x1, y1, x2, y2)), expected)
            assert runs[order].area_in(place, (x1, y1, x2, y2)) == expected.sum()


def test_clipped_to_a_smaller_frame() -> None:
    bitmaps = some_bitmaps(np.random.default_rng(2), 12, (9, 8))
    clipped = ColumnRuns.from_packed(packed(bitmaps)).clipped((4, 6)).to_packed((4, 6))
    assert np.array_equal(clipped.counts, packed(bitmaps[:, :4, :6]).counts)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_every_second_or_third_pixel(step: int) -> None:
    bitmaps = some_bitmaps(np.random.default_rng(3), 12, (9, 8))
    smaller = bitmaps[:, ::step, ::step]
    reduced = ColumnRuns.from_packed(packed(bitmaps)).every(step).to_packed(smaller.shape[1:])
    assert np.array_equal(reduced.counts, packed(smaller).counts)


def test_no_masks() -> None:
    nothing = ColumnRuns.concatenate([])
    assert len(nothing) == 0
    assert nothing.windows().shape == (0, 4)
    assert nothing.areas().shape == (0,)
    assert len(nothing.to_packed((4, 4))) == 0
    assert len(nothing[np.zeros(0, np.int64)]) == 0
