"""The labels of a run: read once, and what would spoil it is said before it begins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.config import Config
from maskrcnn.data import coco
from maskrcnn.errors import UserError
from maskrcnn.training.data import TrainingData


def change(config: Config, split: str, edit: Callable[[dict[str, Any]], object]) -> None:
    """Write a split's file, made of that of the train split."""
    root = Path(config.data.root)
    content = json.loads((root / "instances_train.json").read_text())
    edit(content)
    (root / f"instances_{split}.json").write_text(json.dumps(content))


def set_all(content: dict[str, Any], **values: Any) -> None:
    for annotation in content["annotations"]:
        annotation.update(values)


def said(config: Config) -> str:
    lines: list[str] = []
    TrainingData.open(config, lines.append)
    return "\n".join(lines)


def test_each_file_is_read_once(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    change(config, "val", lambda content: None)
    read: list[str] = []
    load = coco.load_coco
    monkeypatch.setattr(coco, "load_coco", lambda path: read.append(path.name) or load(path))
    data = TrainingData.open(config, lambda line: None)
    assert read == ["instances_train.json", "instances_val.json"] and data.val is not None
    assert data.val.report.num_images == len(data.val.labels) == 4


def test_a_val_split_may_be_missing_where_nobody_names_it(config: Config) -> None:
    assert "instances_val.json: no such file, so nothing is evaluated" in said(config)
    none = replace(config, data=replace(config.data, val_annotations=""))
    assert "no val_annotations: nothing is evaluated" in said(none)
    named = replace(config, data=replace(config.data, val_annotations="vall.json"))
    with pytest.raises(UserError, match=r"vall\.json: no such file, though data\.val_annotations names it"):
        said(named)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (lambda content: content.update(annotations=[]), "has no object of a class to be learned"),
        (lambda content: set_all(content, iscrowd=1), "has no object of a class to be learned"),
        (lambda content: set_all(content, iscrowd=1), "1 x crowds (iscrowd 1); nothing is left to learn or to find"),
        (lambda content: None, "4 images in "),
        (lambda content: set_all(content, segmentation=[]), "4 images, 8 objects, 0 ignored regions"),
    ],
)
def test_what_spoils_the_evaluation_is_said(
    config: Config, edit: Callable[[dict[str, Any]], object], line: str
) -> None:
    change(config, "val", edit)
    assert line in said(config)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"iscrowd": 1}, r"got 8 crowds \(iscrowd 1\), .*--set data\.crowd=object"),
        ({"segmentation": []}, r"got 8 with boxes alone; .*--set mask_head\.enabled=false"),
        ({"category_id": 99}, r"got none; most frequent: unknown category; check the annotations"),
    ],
)
def test_nothing_to_learn_names_the_reason(config: Config, values: dict[str, Any], reason: str) -> None:
    change(config, "train", lambda content: set_all(content, **values))
    with pytest.raises(UserError, match=reason):
        said(config)


def test_crowds_are_learned_where_that_is_asked_for(config: Config) -> None:
    change(config, "train", lambda content: set_all(content, iscrowd=1))
    asked = replace(config, data=replace(config.data, crowd="object"))
    assert "4 images, 8 objects, 0 ignored regions, 0 faults" in said(asked)


def test_many_classes_are_listed_in_bounded_length(config: Config) -> None:
    more = [{"id": 1000 + i, "name": f"class {i}"} for i in range(5000)]
    change(config, "val", lambda content: content["categories"].extend(more))
    assert "categories in one of the two splits only: class 0, " in said(config) and len(said(config)) < 5000


def test_copies_under_other_names_are_found(config: Config) -> None:
    root = Path(config.data.root)
    shutil.copy(root / "images" / "1.png", root / "images" / "copy.png")

    def one_copy(content: dict[str, Any]) -> None:
        content["images"] = [content["images"][1] | {"file_name": "copy.png"}]

    change(config, "val", one_copy)
    assert "1 image in " in said(config) and "files of equal content (1.png and copy.png)" in said(config)
