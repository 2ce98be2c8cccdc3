from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from maskrcnn.data.geometry import View
from maskrcnn.data.proposals import read_proposals
from maskrcnn.errors import UserError

IMAGES = (("a.png", "b.png", "c.png"), (7, 3, 5))


def write(folder: Path, content: Any) -> Path:
    path = folder / "proposals.json"
    path.write_text(json.dumps(content))
    return path


def proposal(score: float, box: list[float], **image: Any) -> dict[str, Any]:
    return {**image, "bbox": box, "score": score}


def test_best_first_by_name_and_by_id(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        [
            proposal(0.2, [0, 0, 10, 5], image_id=7),
            proposal(0.9, [1, 2, 10, 5], image_id=7),
            proposal(0.5, [3, 3, 1, 1], image_id=7, file_name="c.png"),  # numbered anew by `predict`: the name counts
            proposal(0.5, [0, 0, 9, 9], image_id=99),
        ],
    )
    store = read_proposals(path, *IMAGES)
    assert store.of(0).tolist() == [[1, 2, 11, 7], [0, 0, 10, 5]]
    assert store.of(1).shape == (0, 4)
    assert store.of(2).tolist() == [[3, 3, 4, 4]]
    assert read_proposals(path, *IMAGES, limit=1).of(0).tolist() == [[1, 2, 11, 7]]


def test_names_of_files_may_begin_at_another_folder(tmp_path: Path) -> None:
    """`predict` writes paths as they were typed and numbers the images anew: a number beside a name says nothing."""
    names = ("a.png", "left/b.png", "right/b.png")
    stated = {"my data/images/a.png": [0], "right/b.png": [2], "/x/left/b.png": [1], "c.png": []}
    for name, expected in stated.items():
        entries = [proposal(0.5, [0, 0, 4, 4], image_id=5, file_name=name), proposal(0.1, [0, 0, 1, 1], image_id=7)]
        store = read_proposals(write(tmp_path, entries), names, (7, 3, 5))
        assert [i for i in range(3) if [0, 0, 4, 4] in store.of(i).tolist()] == expected, name
    path = write(tmp_path, [proposal(0.5, [0, 0, 4, 4], file_name="b.png")])
    with pytest.raises(UserError, match=r"proposal number 0: .*'b\.png' fits several, such as 'left/b\.png' and"):
        read_proposals(path, names, (7, 3, 5))
    assert len(read_proposals(path, ("photos/b.png",), (1,)).of(0)) == 1


def test_a_view_moves_cuts_and_drops(tmp_path: Path) -> None:
    boxes = [[0, 0, 10, 10], [15, 5, 10, 10], [30, 0, 10, 20]]
    path = write(tmp_path, [proposal(1 - i / 10, box, image_id=7) for i, box in enumerate(boxes)])
    store = read_proposals(path, *IMAGES)
    left_half_twice_as_large = View((0, 0, 20, 20), (40, 40))
    assert store.seen(0, left_half_twice_as_large).tolist() == [[0, 0, 20, 20], [30, 10, 40, 30]]
    mirrored = View.whole((20, 40)).flip(horizontal=True)
    assert torch.equal(store.seen(0, mirrored)[2], torch.tensor([0.0, 0, 10, 20]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": []}, "expected a list of proposals"),
        ([], "expected proposals for the given images, got none"),
        ([proposal(0.5, [0, 0, 1, 1], image_id=1)], "got none"),
        ([7], "proposal number 0: expected image_id or file_name, bbox"),
        ([proposal(0.5, [0, 0, 1], image_id=7)], "proposal number 0"),
        ([proposal(0.5, [0, 0, 1, float("nan")], image_id=7)], "proposal number 0"),
        ([{"image_id": 7, "bbox": [0, 0, 1, 1], "score": "high"}], "proposal number 0"),
    ],
)
def test_other_content_is_one_clear_line(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_proposals(write(tmp_path, content), *IMAGES)
    assert "\n" not in str(caught.value) and "proposals.json" in str(caught.value)
