"""Two splits that are right by themselves and wrong together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.data.splits import copy_faults, num_measured, split_faults

Make = Callable[..., Any]


@pytest.fixture
def splits(make_coco: Make, square: dict[str, Any], tmp_path: Path) -> Make:
    """Three images of random pixels in each, one object in the first of each; val's content may be changed."""
    content = make_coco([square, square | {"id": 2, "image_id": 4}], num_images=6)

    def read(num_train: int = 3, **changes: Any) -> tuple[LabelledImages, LabelledImages]:
        train, val = ({**content, "images": content["images"][part]} for part in (slice(num_train), slice(3, 6)))
        return read_coco(train, tmp_path, source="train"), read_coco(val | changes, tmp_path, source="val")

    return read


def test_splits_that_belong_together(splits: Any) -> None:
    assert split_faults(*splits()) == []


def test_pictures_of_both(splits: Any, tmp_path: Path) -> None:
    (tmp_path / "5.png").write_bytes((tmp_path / "2.png").read_bytes())
    (tmp_path / "6.png").unlink()
    (tmp_path / "6.png").symlink_to(tmp_path / "1.png")
    assert split_faults(*splits()) == [
        f"val: 1 image in train too, {found}; what is measured on them says nothing"
        for found in ("the same file (1.png and 6.png)", "files of equal content (2.png and 5.png)")
    ]


def test_copies_within_a_split(splits: Any, tmp_path: Path) -> None:
    """Of equal content and of no other name than each its own; Roboflow's varied copies are no fault."""
    train, val = splits()
    assert copy_faults(train) == [] == copy_faults(val)
    for copy, original in (("2", "1"), ("5", "4"), ("6", "4")):
        (tmp_path / f"{copy}.png").write_bytes((tmp_path / f"{original}.png").read_bytes())
    assert copy_faults(train) == [
        "train: 1 image with the content of an earlier one (1.png and 2.png); "
        "each copy counts as a picture of its own: keep one, with all objects"
    ]
    assert copy_faults(val)[0].startswith("val: 2 images with the content of an earlier one (4.png and 5.png)")


def test_splits_that_are_swapped(splits: Any) -> None:
    assert split_faults(*splits(num_train=1)) == ["val: has 3 images and train only 1; are the two swapped?"]


@pytest.mark.parametrize(
    "changes",
    [{"annotations": []}, {"categories": [{"id": 7, "name": "other"}]}],
)
def test_nothing_to_measure_is_said(splits: Any, changes: dict[str, Any]) -> None:
    train, val = splits(**changes)
    assert num_measured(train, val) == 0
    assert split_faults(train, val) == ["val: has no object of a class to be learned, so nothing can be measured on it"]
