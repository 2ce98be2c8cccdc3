from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maskrcnn.data.coco_keypoints import read_keypoints
from maskrcnn.data.report import Fault
from maskrcnn.structures import KeypointSchema

SIZE = (12, 10)
SCHEMA = KeypointSchema(("nose", "left_eye", "right_eye"))
GOOD = [2, 3, 2, 4, 5, 1, 0, 0, 0]


def read(keypoints: Any, schema: KeypointSchema | None = SCHEMA, **more: Any) -> tuple[Any, list[Fault]]:
    noted: list[Fault] = []
    entry = {"keypoints": keypoints, **more}
    found = read_keypoints(entry, schema, SIZE, lambda fault, detail: noted.append(fault))
    return None if found is None else found.tolist(), noted


def test_coco_counts_pixels_and_we_measure() -> None:
    """The pixel 2 is the interval from 2 to 3; a keypoint in it lies at its centre."""
    assert read(GOOD, num_keypoints=2) == ([[2.5, 3.5, 2], [4.5, 5.5, 1], [0, 0, 0]], [])


@pytest.mark.parametrize("keypoints", [None, [], [0] * 9, [5, 5, 0, 6, 6, 0, 0, 0, 0]])
def test_nothing_labelled(keypoints: Any) -> None:
    assert read(keypoints, num_keypoints=0) == (None, [])


def test_nothing_at_all() -> None:
    assert read_keypoints({}, SCHEMA, SIZE, pytest.fail) is None
    assert read_keypoints({}, None, SIZE, pytest.fail) is None


def test_places_of_keypoints_that_are_not_labelled_mean_nothing() -> None:
    assert read([2, 3, 2, 400, -9, 0, 7, 7, 0]) == ([[2.5, 3.5, 2], [0, 0, 0], [0, 0, 0]], [])


@pytest.mark.parametrize(
    ("keypoints", "fault"),
    [
        (GOOD[:-1], Fault.KEYPOINTS_LENGTH),
        (GOOD[:6], Fault.KEYPOINTS_LENGTH),
        ([*GOOD, 1, 1, 2], Fault.KEYPOINTS_LENGTH),
        ("123456789", Fault.KEYPOINTS_NUMBERS),
        ([[2, 3, 2], [4, 5, 1], [0, 0, 0]], Fault.KEYPOINTS_NUMBERS),
        ([[2, 3], [4]], Fault.KEYPOINTS_NUMBERS),
        (["a", *GOOD[1:]], Fault.KEYPOINTS_NUMBERS),
        ([float("nan"), *GOOD[1:]], Fault.KEYPOINTS_NUMBERS),
        ([float("inf"), *GOOD[1:]], Fault.KEYPOINTS_NUMBERS),
        ([10**400, *GOOD[1:]], Fault.KEYPOINTS_NUMBERS),
        ([1e12, *GOOD[1:]], Fault.KEYPOINTS_NUMBERS),
        ({"nose": [2, 3, 2]}, Fault.KEYPOINTS_NUMBERS),
        (True, Fault.KEYPOINTS_NUMBERS),
    ],
)
def test_unreadable_keypoints_are_dropped(keypoints: Any, fault: Fault) -> None:
    assert read(keypoints) == (None, [fault])


def test_classes_without_keypoints() -> None:
    assert read(GOOD, schema=None) == (None, [Fault.KEYPOINTS_UNNAMED])


@pytest.mark.parametrize("visibility", [3, -1, 0.5, 255])
def test_other_visibilities_are_not_labelled(visibility: float) -> None:
    found, noted = read([2, 3, visibility, 4, 5, 2, 0, 0, 0])
    assert found == [[0, 0, 0], [4.5, 5.5, 2], [0, 0, 0]] and noted == [Fault.KEYPOINT_VISIBILITY]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0, 0, (0.5, 0.5)),
        (9, 11, (9.5, 11.5)),
        (10, 12, (10, 12)),  # written as continuous coordinates, on the border
        (-1, -0.75, (0, 0)),
        (10.6, 5, None),
        (-1.6, 5, None),
        (5, 12.6, None),
        (5, -1.6, None),
    ],
)
def test_keypoints_outside_the_image(x: float, y: float, expected: tuple[float, float] | None) -> None:
    found, noted = read([x, y, 2, 4, 5, 2, 0, 0, 0])
    assert found[0] == ([0, 0, 0] if expected is None else [*expected, 2])
    assert noted == ([Fault.KEYPOINT_OUTSIDE] if expected is None else [])


@pytest.mark.parametrize("stated", [3, 1, None, "2", [2], 10**400])
def test_wrong_counts_are_noted_and_change_nothing(stated: Any) -> None:
    found, noted = read(GOOD, num_keypoints=stated)
    assert found == read(GOOD)[0] and noted == [Fault.KEYPOINTS_COUNT]


def test_details_name_the_first() -> None:
    details: list[str] = []
    read_keypoints({"keypoints": [2, 3, 7, 4, 5, 1, 90, 90, 2]}, SCHEMA, SIZE, lambda _, detail: details.append(detail))
    assert details == ["nose [2.0, 3.0, 7.0]", "right_eye [90.0, 90.0, 2.0]"]
    read_keypoints({"keypoints": [99, 3, 2] * 3}, SCHEMA, SIZE, lambda _, detail: details.append(detail))
    assert details[-1] == "nose [99.0, 3.0, 2.0] and 2 more"


def test_the_annotation_stays_as_it_was() -> None:
    entry = {"keypoints": np.array(GOOD, float).tolist()}
    read_keypoints(entry, SCHEMA, SIZE, pytest.fail)
    assert entry["keypoints"] == GOOD
