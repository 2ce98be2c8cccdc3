from __future__ import annotations

from typing import Any

import pytest

from maskrcnn.data.coco_objects import read_crowd, read_object
from maskrcnn.data.report import Fault
from maskrcnn.structures import RLE, Polygons
from maskrcnn.structures.labels import ObjectEntry

SIZE = (12, 10)
EMPTY_RLE = {"size": [12, 10], "counts": [120]}


@pytest.fixture
def read(square: dict[str, Any]):
    """Reads the faultless annotation with some values replaced (or removed, by None)."""

    def read_changed(**changes: Any) -> tuple[ObjectEntry | None, list[Fault]]:
        noted: list[Fault] = []
        entry = {key: value for key, value in (square | changes).items() if value is not None}

        def note(fault: Fault, detail: str) -> None:
            noted.append(fault)

        return read_object(entry, 4, 1, SIZE, note, is_crowd=read_crowd(entry, note)), noted

    return read_changed


def test_faultless(read) -> None:
    item, noted = read()
    assert noted == [] and isinstance(item.mask, Polygons)
    assert (item.annotation_id, item.label, item.box, item.ignore) == (4, 1, (2, 3, 6, 8), False)


# --- boxes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bbox", "fault"),
    [
        (None, Fault.BOX_MISSING),
        ([2, 3, 4], Fault.BOX_MISSING),
        ("2 3 4 5", Fault.BOX_MISSING),
        ([2, 3, 4, "five"], Fault.BOX_MISSING),
        ([2, 3, 4, float("nan")], Fault.BOX_MISSING),
        ([2, 3, 10**400, 5], Fault.BOX_MISSING),
        ([2, 3, 0, 5], Fault.BOX_DEGENERATE),
        ([2, 3, 4, -5], Fault.BOX_DEGENERATE),
        ([7, 9, 2, 2], Fault.BOX_DISAGREES),
        ([-40, -40, 5, 5], Fault.BOX_DISAGREES),
        ([0, 0, 10, 12], Fault.BOX_DISAGREES),
    ],
)
def test_wrong_box_is_replaced_by_that_of_the_mask(read, bbox: Any, fault: Fault) -> None:
    item, noted = read(bbox=bbox)
    assert item.box == (2, 3, 6, 8) and not item.ignore and noted == [fault]


def test_box_as_two_corners_is_noticed(read) -> None:
    """A common mistake: x1, y1, x2, y2 instead of x, y, width, height."""
    item, noted = read(bbox=[2, 3, 6, 8])
    assert item.box == (2, 3, 6, 8) and noted == [Fault.BOX_DISAGREES]


@pytest.mark.parametrize("bbox", [[2, 3, 3, 4], [1.5, 2.5, 5, 6], [2.4, 3.1, 3.2, 4.7]])
def test_rounded_boxes_are_kept(read, bbox: list[float]) -> None:
    item, noted = read(bbox=bbox)
    x, y, width, height = bbox
    assert item.box == (x, y, x + width, y + height) and noted == []


def test_box_outside_by_less_than_a_pixel_is_cut_silently(read) -> None:
    polygon = [[0, 0, 10, 0, 10, 12, 0, 12]]
    item, noted = read(segmentation=polygon, bbox=[-0.5, -1, 11, 14])
    assert item.box == (0, 0, 10, 12) and noted == []
    item, noted = read(segmentation=polygon, bbox=[-1.5, 0, 11.5, 12])
    assert item.box == (0, 0, 10, 12) and noted == [Fault.BOX_OUTSIDE]


def test_box_of_a_mask_that_reaches_outside_is_cut(read) -> None:
    item, noted = read(segmentation=[[6, 3, 16, 3, 16, 8, 6, 8]], bbox=None)
    assert item.box == (6, 3, 10, 8) and noted == [Fault.BOX_MISSING]


def test_box_of_an_rle(read) -> None:
    item, noted = read(segmentation={"size": [12, 10], "counts": [15, 2, 103]}, bbox=None)
    assert isinstance(item.mask, RLE) and item.box == (1, 3, 2, 5) and noted == [Fault.BOX_MISSING]


# --- masks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        EMPTY_RLE,
        [[1, 3, 8, 3, 4, 3]],  # a line
        [[20, 3, 26, 3, 26, 8]],  # outside
    ],
)
def test_without_a_usable_mask_the_box_is_ignored(read, segmentation: Any) -> None:
    item, noted = read(segmentation=segmentation)
    assert item.mask is None and item.ignore and item.box == (2, 3, 6, 8) and noted == [Fault.MASK_UNUSABLE]


def test_where_masks_are_not_needed_the_box_is_the_object(square: dict[str, Any]) -> None:
    def read_boxed(**changes: Any) -> tuple[ObjectEntry | None, list[Fault]]:
        noted: list[Fault] = []
        entry = {"area": 20.0, **square, **changes}

        def note(fault: Fault, detail: str) -> None:
            noted.append(fault)

        crowd = read_crowd(entry, note)
        return read_object(entry, 4, 1, SIZE, note, need_masks=False, is_crowd=crowd), noted

    for segmentation, crowd in ((None, False), ([], True)):
        expected = ObjectEntry(4, 1, (2, 3, 6, 8), None, crowd, stated_box=(2, 3, 4, 5), area=20)
        assert read_boxed(segmentation=segmentation, iscrowd=int(crowd)) == (expected, [])
    assert read_boxed(segmentation=None, bbox=[20, 3, 4, 5]) == (None, [Fault.NOTHING_USABLE])
    item, noted = read_boxed()
    assert item is not None and isinstance(item.mask, Polygons) and noted == []


@pytest.mark.parametrize("bbox", [None, [2, 3, 0, 5], [20, 3, 4, 5], [-9, 3, 9, 5], ["a"] * 4])
def test_without_mask_and_box_nothing_is_left(read, bbox: Any) -> None:
    assert read(segmentation=[], bbox=bbox) == (None, [Fault.NOTHING_USABLE])


def test_ignored_box_is_cut_at_the_border(read) -> None:
    item, _ = read(segmentation=None, bbox=[5, 5, 100, 100])
    assert item.box == (5, 5, 10, 12)


# --- crowds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("crowd", "ignore"), [(0, False), (1, True), (None, False), (True, True), (1.0, True)])
def test_crowds_are_ignored_regions(read, crowd: Any, ignore: bool) -> None:
    item, noted = read(iscrowd=crowd)
    assert item.ignore is ignore and item.mask is not None and noted == []


@pytest.mark.parametrize("crowd", [2, "1", [], -1, float("nan")])
def test_other_crowd_flags_are_noted(read, crowd: Any) -> None:
    item, noted = read(iscrowd=crowd)
    assert not item.ignore and noted == [Fault.CROWD_FLAG]
