from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from maskrcnn.errors import UserError
from maskrcnn.structures import Categories
from maskrcnn.weights.foreign.classes import (
    COCO,
    PERSON_KEYPOINTS,
    background_last,
    choose_categories,
    read_categories,
)


def test_coco_is_cocos_own_list(shared: Path) -> None:
    folder = shared / "data" / "coco_mini"
    listed = Categories.from_coco(json.loads((folder / "instances_val.json").read_text())["categories"])
    assert listed == COCO
    keypoints = read_categories(folder / "person_keypoints_val.json")
    assert keypoints == choose_categories(1, 17) and keypoints.keypoints == PERSON_KEYPOINTS


def test_choice_by_number() -> None:
    assert choose_categories(80) == choose_categories(90) == COCO
    assert choose_categories(1).names == ("class_1",) and choose_categories(2).ids == (1, 2)
    other = choose_categories(2, 3)
    assert other.names == ("class_1", "class_2") and other.num_keypoints == 3


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_categories_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "categories.json"
    assert read_categories(write(path, ["cat", "dog"])) == Categories((1, 2), ("cat", "dog"))
    by_id = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    assert read_categories(write(path, by_id)) == Categories((3, 7), ("cat", "dog"))
    assert read_categories(write(path, {"images": [], "categories": by_id})) == Categories((3, 7), ("cat", "dog"))
    for wrong in ([], {}, "cat", [1, 2], [{"name": "cat"}], [{"id": "x", "name": "cat"}], ["cat", {"id": 1}], None):
        with pytest.raises(UserError, match=r"categories\.json: expected a list of names"):
            read_categories(write(path, wrong))
    with pytest.raises(UserError, match="appears twice"):
        read_categories(write(path, ["cat", "cat"]))
    with pytest.raises(UserError, match="no such"):
        read_categories(tmp_path / "absent.json")


def test_background_last_by_hand() -> None:
    ours = background_last(
        {
            "box_head.class_logits.weight": torch.tensor([[0.0], [1.0], [2.0]]),
            "box_head.deltas.bias": torch.arange(12.0),
            "mask_head.mask_logits.bias": torch.tensor([0.0, 1.0, 2.0]),
            "other.bias": torch.tensor([0.0, 1.0, 2.0]),
        },
        2,
    )
    assert ours["box_head.class_logits.weight"].tolist() == [[1], [2], [0]]
    assert ours["box_head.deltas.bias"].tolist() == [4, 5, 6, 7, 8, 9, 10, 11]
    assert ours["mask_head.mask_logits.bias"].tolist() == [1, 2]
    assert ours["other.bias"].tolist() == [0, 1, 2]
