from __future__ import annotations

from typing import Any

import pytest

from maskrcnn.errors import UserError
from maskrcnn.structures import KeypointSchema


def test_left_and_right_change_in_a_mirror() -> None:
    names = ("nose", "left_eye", "right_eye", "tail", "RightKnee", "LeftKnee", "l_ear", "r_ear", "paw_R", "paw_L")
    assert KeypointSchema(names).mirrored == (0, 2, 1, 3, 5, 4, 7, 6, 9, 8)


@pytest.mark.parametrize(
    "names", [("left_eye", "nose"), ("upright", "upleftover"), ("curl", "lower"), ("LEFT_eye", "right_eye"), ()]
)
def test_without_an_opposite_a_keypoint_stays(names: tuple[str, ...]) -> None:
    assert KeypointSchema(names).mirrored == tuple(range(len(names)))


def test_mirrored_twice_is_unchanged() -> None:
    mirrored = KeypointSchema(("left", "RIGHT", "right", "Left", "LEft", "left_right", "right_left")).mirrored
    assert [mirrored[i] for i in mirrored] == list(range(7)) and mirrored[5] == 6


def test_coco_counts_from_one() -> None:
    entry = {"id": 1, "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2], [1, 3]]}
    schema = KeypointSchema.from_coco(entry)
    assert schema == KeypointSchema(("nose", "left_eye", "right_eye"), ((0, 1), (0, 2)))
    assert entry == {"id": 1, **schema.to_coco()}


@pytest.mark.parametrize("entry", [{}, {"keypoints": []}, {"keypoints": None, "skeleton": []}])
def test_none(entry: dict[str, Any]) -> None:
    assert KeypointSchema.from_coco(entry) is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"keypoints": "nose"}, "keypoints: expected a list of names, got 'nose'"),
        ({"keypoints": [1]}, "keypoints: expected a list of names"),
        ({"keypoints": ["a", "a"]}, "keypoints: name a appears twice"),
        ({"keypoints": ["a", "b"], "skeleton": [[0, 1]]}, r"pairs of numbers from 1 to 2, got \[0, 1\]"),
        ({"keypoints": ["a", "b"], "skeleton": [[1, 3]]}, r"pairs of numbers from 1 to 2, got \[1, 3\]"),
        ({"keypoints": ["a", "b"], "skeleton": [[1]]}, "expected a list of pairs"),
        ({"keypoints": ["a", "b"], "skeleton": [[1, 2.0]]}, "expected a list of pairs"),
        ({"keypoints": ["a", "b"], "skeleton": {"1": 2}}, "expected a list of pairs"),
    ],
)
def test_mistakes(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        KeypointSchema.from_coco(entry)
