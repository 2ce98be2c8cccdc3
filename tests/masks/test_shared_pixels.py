from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.masks.shared_pixels import pixels_inside, shared_pixels
from maskrcnn.structures.masks import ByteArray


def runs_of(bitmaps: ByteArray) -> ColumnRuns:
    height, width = bitmaps.shape[1:]
    return ColumnRuns.from_packed(PackedRLE.from_rles(map(encode_rle, bitmaps), (height, width)))


@pytest.mark.parametrize("seed", range(8))
def test_as_counted_on_bitmaps(seed: int) -> None:
    generator = np.random.default_rng(seed)
    height, width = (int(side) for side in generator.integers(1, 30, 2))
    first, second = ((generator.random((n, height, width)) < generator.random()).astype(np.uint8) for n in (4, 6))
    first[1], second[2] = 0, 1
    pairs = np.stack([generator.integers(0, 4, 50), generator.integers(0, 6, 50)], axis=1)
    expected = [int((first[a] & second[b]).sum()) for a, b in pairs]
    assert shared_pixels(runs_of(first), runs_of(second), pairs, height).tolist() == expected
    for number, region in enumerate(second):
        inside = pixels_inside(runs_of(first), runs_of(second[number : number + 1]), height)
        assert inside.dtype == np.int64 and inside.tolist() == (first & region).sum(axis=(1, 2)).tolist()


def test_no_pairs_and_no_pixels() -> None:
    nothing = runs_of(np.zeros((2, 4, 5), np.uint8))
    assert shared_pixels(nothing, nothing, np.zeros((0, 2), np.int64), 4).tolist() == []
    assert shared_pixels(nothing, nothing, np.array([[0, 1], [1, 1]]), 4).tolist() == [0, 0]


def test_pixels_inside_no_region_and_of_no_mask() -> None:
    some, nothing = runs_of(np.ones((2, 4, 5), np.uint8)), runs_of(np.zeros((2, 4, 5), np.uint8))
    none = ColumnRuns.concatenate([])
    assert pixels_inside(some, none, 4).tolist() == pixels_inside(nothing, some[np.array([0])], 4).tolist() == [0, 0]
    assert pixels_inside(none, some[np.array([0])], 4).tolist() == []
