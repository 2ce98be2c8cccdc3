from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.masks.overlap import uncovered
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.structures import MaskCrops


def strip(*spans: tuple[int, int]) -> MaskCrops:
    """Masks one pixel high in a frame of 10 pixels."""
    bitmaps = np.zeros((len(spans), 1, 10), np.uint8)
    for bitmap, (start, stop) in zip(bitmaps, spans, strict=True):
        bitmap[0, start:stop] = 1
    return MaskCrops.from_bitmaps(bitmaps)


SAME = np.zeros(3, np.int64)


@pytest.mark.parametrize(
    ("max_overlap", "kept"), [(1.0, [0, 1, 2]), (0.75, [0, 1, 2]), (0.5, [0, 1]), (0.49, [0, 2]), (0.0, [0])]
)
def test_by_hand(max_overlap: float, kept: list[int]) -> None:
    """The second lies half under the first; the third by a quarter under the first, by three under both."""
    assert uncovered(strip((0, 4), (2, 6), (3, 7)), SAME, max_overlap).tolist() == kept


def test_what_is_dropped_covers_nothing() -> None:
    """The second is dropped, so the third, which lies under it alone, stays."""
    assert uncovered(strip((0, 6), (3, 9), (6, 9)), SAME, 0.3).tolist() == [0, 2]


def test_other_classes_do_not_count() -> None:
    assert uncovered(strip((0, 4), (0, 4), (0, 4)), np.array([1, 0, 1]), 0.3).tolist() == [0, 1]


def test_objects_without_pixels_stay_and_none_is_fine() -> None:
    assert uncovered(strip((0, 4), (0, 0), (0, 4)), SAME, 0.0).tolist() == [0, 1]
    assert uncovered(strip(), SAME[:0], 0.3).tolist() == []


def test_equal_to_full_frames() -> None:
    random = np.random.default_rng(0)
    bitmaps = (random.random((40, 12, 12)) > 0.7).astype(np.uint8)
    labels = random.integers(0, 3, 40)
    kept: list[int] = []
    for index in range(40):
        better = [k for k in kept if labels[k] == labels[index]]
        covered = (bitmaps[better].any(axis=0) & bitmaps[index]).sum()
        if covered <= 0.5 * bitmaps[index].sum():
            kept.append(index)
    assert 3 < len(kept) < 40
    assert uncovered(MaskCrops.from_bitmaps(bitmaps), labels, 0.5).tolist() == kept
    packed = PackedRLE.from_rles(map(encode_rle, bitmaps), (12, 12))
    assert uncovered(packed, labels, 0.5).tolist() == kept
