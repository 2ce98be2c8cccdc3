from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maskrcnn.data.coco_masks import mask_box, read_mask
from maskrcnn.data.report import Fault
from maskrcnn.structures import RLE, Polygons

RING = [2, 3, 6, 3, 6, 8]


def read(segmentation: Any) -> tuple[Polygons | RLE | None, list[Fault]]:
    """The mask in a 12 x 10 (height x width) image, and the rules that were noted."""
    noted: list[Fault] = []
    mask = read_mask(segmentation, (12, 10), lambda fault, detail: noted.append(fault))
    return mask, noted


def test_polygons() -> None:
    mask, noted = read([RING, [0, 0, 1.5, 0, 1, 1, 0, 1]])
    assert isinstance(mask, Polygons) and noted == []
    assert [ring.tolist() for ring in mask.rings] == [[[2, 3], [6, 3], [6, 8]], [[0, 0], [1.5, 0], [1, 1], [0, 1]]]
    assert mask_box(mask) == (0, 0, 6, 8)


@pytest.mark.parametrize(
    ("ring", "fault"),
    [
        ([], Fault.POLYGON_SHORT),
        ([1, 1, 2, 2], Fault.POLYGON_SHORT),
        ([1, 1, 2, 2, 3], Fault.POLYGON_SHORT),
        ([1, 1, 2, 2, 3, 3, 4], Fault.POLYGON_ODD),
        ([1, 1, 2, 2, float("nan"), 3], Fault.POLYGON_NUMBERS),
        ([1, 1, 2, 2, float("inf"), 3], Fault.POLYGON_NUMBERS),
        ([1, 1, 2, 2, 1e12, 3], Fault.POLYGON_NUMBERS),
        ([1, 1, 2, 2, 10**400, 3], Fault.POLYGON_NUMBERS),
        ([1, 1, 2, 2, "three", 3], Fault.POLYGON_NUMBERS),
        ([1, 1, 2, 2, None, 3], Fault.POLYGON_NUMBERS),
        ([[1, 1], [2, 2], [3, "x"]], Fault.POLYGON_NUMBERS),
        ({"x": 1}, Fault.POLYGON_NUMBERS),
        ("polygon", Fault.POLYGON_NUMBERS),
        (None, Fault.POLYGON_NUMBERS),
    ],
)
def test_bad_polygon_is_dropped_and_the_others_stay(ring: Any, fault: Fault) -> None:
    mask, noted = read([RING, ring])
    assert isinstance(mask, Polygons) and len(mask.rings) == 1 and noted == [fault]
    mask, noted = read([ring])
    assert mask is None and noted == [fault]


@pytest.mark.parametrize("segmentation", [RING, [[2, 3], [6, 3], [6, 8]], [[[2, 3], [6, 3], [6, 8]]]])
def test_flat_polygons_and_lists_of_points_are_understood(segmentation: Any) -> None:
    mask, noted = read(segmentation)
    assert isinstance(mask, Polygons) and noted == [Fault.POLYGON_UNNESTED]
    assert [ring.tolist() for ring in mask.rings] == [[[2, 3], [6, 3], [6, 8]]]


@pytest.mark.parametrize("segmentation", [None, [], "x", 3, True])
def test_no_mask_at_all(segmentation: Any) -> None:
    assert read(segmentation) == (None, [])


# Column by column, 12 pixels each: 15 zeros, 2 ones, the rest zeros: x 1, y 3 and 4.
@pytest.mark.parametrize("counts", [[15, 2, 103], "?2W3"])
def test_rle_as_list_and_string(counts: Any) -> None:
    mask, noted = read({"size": [12, 10], "counts": counts})
    assert isinstance(mask, RLE) and noted == []
    assert mask.counts.tolist() == [15, 2, 103] and mask.counts.dtype == np.int64
    assert mask_box(mask) == (1, 3, 2, 5)


@pytest.mark.parametrize("size", [[10, 12], [12], None, "12x10", [12, 10, 3], [[12], [10]]])
def test_rle_for_another_size(size: Any) -> None:
    assert read({"size": size, "counts": [15, 2, 103]}) == (None, [Fault.RLE_SIZE])


@pytest.mark.parametrize(
    "counts",
    [
        None,
        [],
        {},
        5,
        [15, 2, 104],
        [-15, 32, 103],
        [15.5, 2, 102.5],
        ["15", "2", "103"],
        [[15, 2, 103]],
        [15, None, 103],
        [10**30, 2, 103],
        "?2W",
        "?2W3~",
        "\u00e9",
        "",
    ],
)
def test_broken_rle(counts: Any) -> None:
    assert read({"size": [12, 10], "counts": counts}) == (None, [Fault.RLE_BROKEN])


def test_endlessly_nested_counts() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    assert read({"size": [12, 10], "counts": deep}) == (None, [Fault.RLE_BROKEN])
    assert read([deep]) == (None, [Fault.POLYGON_NUMBERS])


def test_box_of_an_empty_rle_has_no_size() -> None:
    x1, y1, x2, y2 = mask_box(RLE((12, 10), np.array([120])))
    assert x1 == x2 and y1 == y2


def test_polygons_that_cross_themselves_without_end_are_dropped() -> None:
    """From side to side of a 100 x 12 image; a ring that does not cross itself crosses columns 6,000 times at most."""
    for times, expected in ((71, []), (73, [Fault.POLYGON_TANGLED])):
        zigzag = [coordinate for i in range(times) for coordinate in (100 * (i % 2), i / 10)]
        noted: list[Fault] = []
        mask = read_mask([zigzag], (12, 100), lambda fault, detail, noted=noted: noted.append(fault))
        assert noted == expected and (mask is None) == bool(expected)
