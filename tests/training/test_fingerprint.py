"""A fingerprint knows each thing that training reads of the labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.config import Config
from maskrcnn.training.data import TrainingData
from maskrcnn.training.fingerprint import _COLUMNS, _MEASURED, fingerprint

Content = dict[str, Any]
SQUARE = [4.0, 4.0, 20.0, 4.0, 20.0, 20.0, 4.0, 20.0]
RUNS = {"size": [64, 64], "counts": [130, 10, 54, 10, 3892]}


def facts(config: Config, change: Callable[[Content], object] = lambda content: None) -> dict[str, Any]:
    """Of the labels once `change` has been at them."""
    path = Path(config.data.root) / "instances_train.json"
    before = path.read_text()
    content = json.loads(before)
    content["categories"][0]["keypoints"] = ["left", "right"]
    first, second = content["annotations"][:2]
    first |= {"segmentation": [SQUARE], "bbox": [4, 4, 16, 16], "keypoints": [5, 5, 2, 9, 9, 2]}
    second |= {"segmentation": RUNS, "bbox": [2, 2, 2, 10]}
    for number, image in enumerate(content["images"]):
        image["stain"] = "ab"[number % 2]
    change(content)
    path.write_text(json.dumps(content))
    config = replace(config, data=replace(config.data, balance_by="stain"))
    found = fingerprint(TrainingData.open(config, lambda line: None).dataset)
    path.write_text(before)
    assert json.loads(json.dumps(found)) == found
    return found


CHANGES: dict[str, Callable[[Content], object]] = {
    "file names": lambda c: c["images"][3].update(file_name="./3.png"),
    "groups of images": lambda c: c["images"][0].update(stain="b"),
    "objects": lambda c: c["annotations"][-1].update(image_id=0),
    "classes": lambda c: c["annotations"][-1].update(category_id=1),
    "boxes": lambda c: c["annotations"][0].update(bbox=[4, 4, 15, 16]),
    "crowd flags": lambda c: c["annotations"][1].update(iscrowd=1),
    "masks": lambda c: c["annotations"][0].update(segmentation=[[*SQUARE[:-1], 19.5]]),
    "masks, run lengths": lambda c: c["annotations"][1]["segmentation"].update(counts=[130, 10, 54, 9, 3893]),
    "keypoints": lambda c: c["annotations"][0].update(keypoints=[5, 5, 2, 9, 10, 2]),
    "categories": lambda c: c["categories"][1].update(name="bright one"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_seen(config: Config, change: str) -> None:
    before, after = facts(config), facts(config, CHANGES[change])
    differing = {name for name in before if before[name] != after[name]}
    assert change.partition(",")[0] in differing
    assert len(differing) == 1 or change in ("objects", "file names", "crowd flags")


def test_ids_do_not_matter(config: Config) -> None:
    def renumber(content: Content) -> None:
        for annotation in content["annotations"]:
            annotation["id"] += 100

    assert facts(config, renumber) == facts(config)


def test_every_column_is_known_or_left_out_for_a_reason(config: Config) -> None:
    labels = TrainingData.open(config, lambda line: None).dataset.labels
    known = {column for columns in _COLUMNS.values() for column in columns}
    assert set(vars(labels)) - known == {"image_ids", "annotation_ids", "stated_boxes", "areas"}
    assert set(vars(labels)) - set(_MEASURED) == {"image_ids", "annotation_ids"}
