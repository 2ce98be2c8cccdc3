"""Objects with an empty mask, which a score threshold of 0 lets through."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskrcnn.data.formats.table import labelled_images, read_labels
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.prediction import Prediction
from maskrcnn.results.forms import FORMS
from maskrcnn.results.outlined import EMPTY
from results.conftest import CLASSES, MakeRun, drawn, shapes

LABELS = ("coco", "polygons", "yolo", "labelme", "label-studio", "cvat")


def with_empty_masks() -> Prediction:
    """The second and the fourth shape have no pixel."""
    bitmaps = shapes()
    bitmaps[[1, 3]] = False
    packed = PackedRLE.from_rles(map(encode_rle, bitmaps), (60, 80))
    return replace(drawn(CLASSES, Path("a.png")), given_masks=packed)


@pytest.mark.parametrize("form", LABELS)
def test_labels_leave_them_out_and_count_them(form: str, make_run: MakeRun, tmp_path: Path) -> None:
    loss = FORMS[form](make_run(CLASSES, found=with_empty_masks()), tmp_path / "out")
    assert loss[EMPTY] == 2
    data = labelled_images(read_labels(tmp_path / "out"), check_files=True, need_masks=False, crowd="ignore")
    assert data.report.num_objects == 3


def numbers_of_geojson(folder: Path) -> list[int]:
    return [int(feature["id"]) for feature in json.loads((folder / "a.geojson").read_text())["features"]]


def numbers_of_rois(folder: Path) -> list[int]:
    return [int(name[:4]) for name in zipfile.ZipFile(folder / "a.zip").namelist()]


@pytest.mark.parametrize(("form", "numbers"), [("geojson", numbers_of_geojson), ("imagej-rois", numbers_of_rois)])
def test_the_others_keep_their_numbers(
    form: str, numbers: Callable[[Path], list[int]], make_run: MakeRun, tmp_path: Path
) -> None:
    loss = FORMS[form](make_run(CLASSES, found=with_empty_masks()), tmp_path / "out")
    assert loss == {EMPTY: 2} and numbers(tmp_path / "out") == [1, 3, 5]


def test_an_image_with_nothing_else_has_no_archive(make_run: MakeRun, tmp_path: Path) -> None:
    found = with_empty_masks()[np.array([1, 3])]
    assert FORMS["imagej-rois"](make_run(CLASSES, found=found), tmp_path / "out") == {EMPTY: 2}
    assert not (tmp_path / "out").exists()
