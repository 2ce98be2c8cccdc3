from __future__ import annotations

import math

import pytest

from maskrcnn.ops.resize import resized_size


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 640), (800, 1066)),  # 1066.67 is cut off
        ((640, 480), (1066, 800)),
        ((427, 640), (800, 1199)),
        ((300, 1000), (399, 1333)),  # the long side decides: 1000 x 1.333
        ((800, 800), (800, 800)),
        ((1600, 1600), (800, 800)),
    ],
)
def test_short_and_long_side(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert resized_size(size, 800, 1333) == expected


@pytest.mark.parametrize("size", [(h, w) for h in (333, 427, 511, 612) for w in (500, 640, 1025)])
def test_equals_torchvisions_arithmetic(size: tuple[int, int]) -> None:
    scale = min(800 / min(size), 1333 / max(size))
    assert resized_size(size, 800, 1333) == tuple(math.floor(float(side * scale)) for side in size)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((256, 256), (512, 512)),
        ((600, 700), (600, 700)),  # not shrunk to the short side
        ((1000, 2800), (500, 1400)),  # but to the long side
    ],
)
def test_without_shrinking(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert resized_size(size, 512, 1400, shrink=False) == expected


def test_a_pixel_is_left_of_extreme_shapes() -> None:
    assert resized_size((1, 100_000), 800, 1333) == (1, 1333)
