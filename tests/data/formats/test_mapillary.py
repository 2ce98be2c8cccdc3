"""Mapillary Vistas: tiny pictures of a public test suite; values counted in them by NumPy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.data.formats.scenes import mapillary, save

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels, recognise
from maskrcnn.data.report import Fault

ReadForm = Callable[[Path, str], LabelContent]


def test_the_newer_of_two_versions(shared: Path, read_form: ReadForm, found: Any) -> None:
    """Three images of 5 x 5 pixels, of which each belongs to one of ten objects."""
    content = read_form(shared / "data/formats/mapillary", "mapillary")
    result = found(content)
    names = ["animal--bird", "construction--barrier--separator", "object--vehicle--bicycle"]
    assert result.objects == dict(zip(names, (4, 4, 2), strict=True))
    assert (result.ignored, result.area, content.splits) == (0, 3 * 25, ["train", "val"])
    assert [image["file_name"] for image in content.coco["images"]] == [
        "train/images/2.jpg",
        "val/images/0.jpg",
        "val/images/1.jpg",
    ]


def test_the_older_version_alone_says_the_same(shared: Path, tmp_path: Path, found: Any) -> None:
    source = shared / "data/formats/mapillary"
    shutil.copytree(source, tmp_path / "m", ignore=shutil.ignore_patterns("v2.0", "config_v2.0.json"))
    assert found(read_labels(tmp_path / "m")) == found(read_labels(source))


def test_classes_beyond_the_configuration(tmp_path: Path) -> None:
    mapillary(tmp_path)
    save(tmp_path / "training/instances/a.png", np.full((24, 31), 3 * 256, np.uint16))
    assert read_labels(tmp_path).report.counts == {Fault.UNKNOWN_CATEGORY: 1}


def test_pictures_of_classes_are_no_label_images(tmp_path: Path) -> None:
    """Version 1.1 has `labels` beside `images`."""
    mapillary(tmp_path)
    save(tmp_path / "training/labels/a.png", np.zeros((24, 31), np.uint8))
    assert recognise(tmp_path) == "mapillary"
