from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.erosion import eroded
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.structures import RLE
from maskrcnn.structures.masks import ByteArray


def runs_of(bitmaps: list[ByteArray], size: tuple[int, int]) -> ColumnRuns:
    return ColumnRuns.from_packed(PackedRLE.from_rles(map(encode_rle, bitmaps), size))


def bitmaps_of(masks: ColumnRuns, size: tuple[int, int]) -> list[ByteArray]:
    return [masks.crop(index, (0, 0, size[1], size[0])) for index in range(len(masks))]


def step_by_step(bitmap: ByteArray, distance: int) -> ByteArray:
    """Erosion by 3 x 3, again and again, in a frame with nothing around it."""
    padded = np.pad(bitmap, 1)
    return cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)[1:-1, 1:-1] if distance else bitmap


@pytest.mark.parametrize("distance", [0, 1, 2, 3, 4, 7, 8])
def test_as_many_steps_of_one_pixel(distance: int) -> None:
    generator = np.random.default_rng(distance)
    for _ in range(40):
        height, width = (int(side) for side in generator.integers(1, 40, 2))
        noise = generator.random((int(generator.integers(0, 5)), height, width)).astype(np.float32)
        level, blur = generator.choice([0.0, 0.4, 0.5]), float(generator.choice([0.1, 1, 3]))
        bitmaps = [(cv2.GaussianBlur(one, (0, 0), blur) > level).astype(np.uint8) for one in noise]
        found = bitmaps_of(eroded(runs_of(bitmaps, (height, width)), distance, height), (height, width))
        assert len(found) == len(bitmaps)
        for one, bitmap in zip(found, bitmaps, strict=True):
            np.testing.assert_array_equal(one, step_by_step(bitmap, distance))


def test_a_whole_frame_loses_its_rim() -> None:
    left = eroded(runs_of([np.ones((9, 12), np.uint8)], (9, 12)), 2, 9)
    assert left.windows().tolist() == [[2, 2, 10, 7]] and left.areas().tolist() == [40]
    assert eroded(left, 100, 9).areas().tolist() == [0]


def test_runs_that_touch_are_one() -> None:
    """Run lengths may hold empty runs of zeros: 2 and 3 pixels of a column of 5, one after the other."""
    counts = [0, 2, 0, 3, 0, 5, 0, 5]
    masks = ColumnRuns.from_packed(PackedRLE.from_rles([RLE((5, 3), np.array(counts))], (5, 3)))
    assert eroded(masks, 1, 5).areas().tolist() == [3]
