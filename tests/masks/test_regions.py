"""Regions of a picture of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.masks.regions import labelled_regions
from maskrcnn.masks.rle import decode_rle


def test_a_value_of_several_parts_and_touching_values_are_one_object_each() -> None:
    values = np.array([[1, 1, 2, 2], [0, 0, 2, 0], [1, 0, 0, 300]], np.uint16)
    regions = list(labelled_regions(values))
    assert [value for value, _ in regions] == [1, 2, 300]
    for value, rle in regions:
        assert np.array_equal(decode_rle(rle), values == value)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (40, 23)])
def test_regions_are_the_pixels_of_each_value(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    for high in (1, 2, 5, 1000):
        values = rng.integers(0, high, shape).astype(np.int64)
        regions = dict(labelled_regions(values))
        assert list(regions) == sorted(set(np.unique(values).tolist()) - {0})
        for value, rle in regions.items():
            assert np.array_equal(decode_rle(rle), values == value)
