"""Areas that the masks contradict."""

from __future__ import annotations

from typing import Any

import pytest

from maskrcnn.data.report import Fault

HOUSE = [[0, 0, 10, 0, 10, 12, 0, 12]]
"""120 pixels."""


@pytest.mark.parametrize(
    ("area", "is_named"),
    [
        (120, False),
        (60, False),
        (240, False),
        (43, True),
        (257, True),
        (0, True),
        (0.5, True),
        ("120", False),
        (None, False),
    ],
)
@pytest.mark.parametrize("segmentation", [HOUSE, {"size": [12, 10], "counts": [0, 120]}])
def test_areas_far_from_the_mask_are_named(
    make_coco: Any, read: Any, square: dict[str, Any], segmentation: Any, area: Any, is_named: bool
) -> None:
    data = read(make_coco([square | {"segmentation": segmentation, "bbox": [0, 0, 10, 12], "area": area}]))
    assert data.report.counts == ({Fault.AREA_DISAGREES: 1} if is_named else {})
    if is_named:
        assert (
            "annotation 1: area is less than half" in data.report.lines[0]
            and "the mask has 120" in data.report.lines[0]
        )


def test_rings_that_overlap_or_cross_themselves_are_measured_by_their_pixels(
    make_coco: Any, read: Any, square: dict[str, Any]
) -> None:
    """Three times the same ring has three times its area by the shoelace formula, a figure of eight none."""
    thrice = square | {"segmentation": HOUSE * 3, "bbox": [0, 0, 10, 12], "area": 120}
    eight = square | {"id": 2, "segmentation": [[0, 0, 10, 12, 10, 0, 0, 12]], "bbox": [0, 0, 10, 12], "area": 60}
    assert read(make_coco([thrice, eight])).report.counts == {}


def test_crowds_and_boxes_state_what_they_like(make_coco: Any, read: Any, square: dict[str, Any]) -> None:
    crowd, box = square | {"iscrowd": 1, "area": 5000}, square | {"id": 2, "segmentation": [], "area": 5000}
    data = read(make_coco([crowd, box, square | {"id": 3}]), need_masks=False)
    assert Fault.AREA_DISAGREES not in data.report.counts
