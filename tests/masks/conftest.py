"""Masks that every way to write and read run lengths must agree on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.structures.masks import ByteArray


@pytest.fixture(scope="session")
def bitmaps() -> list[ByteArray]:
    """All kinds: empty, full, a single pixel, one row, one column, no pixels at all, random ones."""
    rng = np.random.default_rng(0)
    single = np.zeros((5, 4), np.uint8)
    single[3, 2] = 1
    sizes = [(1, 1), (1, 9), (9, 1), (0, 5), (5, 0), (7, 5), (40, 3), (300, 20)]
    random = [(rng.random(size) < share).astype(np.uint8) for size in sizes for share in (0.0, 0.05, 0.5, 0.95, 1.0)]
    return [np.zeros((4, 6), np.uint8), np.ones((4, 6), np.uint8), single, *random]


@pytest.fixture(scope="session")
def coco_string() -> Callable[[ByteArray], str]:
    """pycocotools' compressed run lengths of a bitmap."""
    return lambda bitmap: coco_mask.encode(np.asfortranarray(bitmap))["counts"].decode()
