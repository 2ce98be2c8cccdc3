from __future__ import annotations

from typing import Any

import pytest

from maskrcnn.masks.polygons_coco import coco_polygons

RING = [2, 3, 6, 3, 6, 8]
POINTS = [[2, 3], [6, 3], [6, 8]]


@pytest.mark.parametrize(
    ("segmentation", "polygons"),
    [
        (RING, [RING]),
        (POINTS, [RING]),
        ([POINTS], [RING]),
        ([POINTS, RING], [RING, RING]),
        ([RING, POINTS], [RING, RING]),
        ([POINTS, "x"], [RING, "x"]),
        ([{"x": 2, "y": 3}, {"x": 6, "y": 3}, {"x": 6, "y": 8}], [RING]),
        ([[{"x": 2, "y": 3}, [6, 3], {"x": 6, "y": 8, "id": "p"}]], [RING]),
    ],
)
def test_other_forms(segmentation: list[Any], polygons: list[Any]) -> None:
    assert coco_polygons(segmentation) == polygons


@pytest.mark.parametrize(
    "segmentation",
    [[], [[]], [RING], [RING, [1, 2]], ["x"], [None, RING], [{}], [[[1, 2], [3]]], [[[1, 2], [3, "x"]]], [[[[1, 2]]]]],
)
def test_all_else_stays_the_same_object(segmentation: list[Any]) -> None:
    assert coco_polygons(segmentation) is segmentation
