"""Cityscapes: tiny pictures of a public test suite; values counted in them by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.formats.scenes import cityscapes, panoptic, picture, save

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels, recognise
from maskrcnn.data.report import Fault
from maskrcnn.masks.rle import decode_rle
from maskrcnn.masks.rle_coco import rle_from_coco

ReadForm = Callable[[Path, str], LabelContent]


def test_objects(shared: Path, read_form: ReadForm, found: Any) -> None:
    """Values 24001, 27001, 27002 (two pixels), 31001 (two): six pixels."""
    content = read_form(shared / "data/formats/cityscapes/train_dataset", "cityscapes")
    result = found(content)
    assert (result.objects, result.ignored, result.area) == ({"person": 1, "train": 1, "truck": 2}, 0, 6)
    assert content.splits == ["train", "val", "test"] and len(content.coco["images"]) == 4


def test_groups_are_crowds(shared: Path, read_form: ReadForm, found: Any) -> None:
    result = found(read_form(shared / "data/formats/cityscapes/dataset", "cityscapes"))
    assert (result.objects, result.ignored) == ({}, 3)


def test_caravans_are_ignored_and_stuff_is_background(tmp_path: Path, found: Any) -> None:
    cityscapes(tmp_path)
    values = np.zeros((24, 31), np.uint16)
    values[0], values[1], values[2], values[3] = 29000, 30, 7, 25000
    save(tmp_path / "gtFine/train/ulm/ulm_0_gtFine_instanceIds.png", values)
    content = read_labels(tmp_path)
    result = found(content)
    assert (result.objects, result.ignored, result.area) == ({"rider": 1}, 2, 31)
    pixels = {name: decode_rle(rle_from_coco(mask)) for name, mask in content.coco["images"][0]["cityscapes"].items()}
    assert np.array_equal(pixels["left_out"].nonzero()[0], [0] * 31), "29000 is no void for the benchmark"
    assert sorted({*pixels["void"].nonzero()[0].tolist()}) == [1, *range(4, 24)], "30, and 0"


def test_colours_are_no_instances(tmp_path: Path) -> None:
    cityscapes(tmp_path)
    save(tmp_path / "gtFine/train/ulm/ulm_0_gtFine_instanceIds.png", np.zeros((24, 31, 3), np.uint8))
    assert read_labels(tmp_path).report.counts == {Fault.MASK_FILE: 1}


def test_coarse_labels_of_an_image_give_way_to_fine_ones(tmp_path: Path) -> None:
    """`gtCoarse` has the images of `gtFine` again, and more."""
    cityscapes(tmp_path)
    values = np.full((24, 31), 26000, np.uint16)
    for name in ("train/ulm/ulm_0", "train_extra/bonn/bonn_0"):
        save(tmp_path / f"gtCoarse/{name}_gtCoarse_instanceIds.png", values)
    content = read_labels(tmp_path)
    names = [image["file_name"] for image in content.coco["images"]]
    assert [name.partition("/")[2] for name in names] == [
        "train/ulm/ulm_0_leftImg8bit.png",
        "train_extra/bonn/bonn_0_leftImg8bit.png",
    ]
    assert len(content.coco["annotations"]) == 1 + 2


def test_images_whose_labels_are_kept_back_are_left_out(tmp_path: Path) -> None:
    """Those of `test` are void: the own car, and the border of the rectified picture."""
    cityscapes(tmp_path)
    values = np.zeros((24, 31), np.uint16)
    values[0], values[20:] = 2, 1
    for number in range(2):
        save(tmp_path / f"gtFine/test/bonn/bonn_{number}_gtFine_instanceIds.png", values)
    content = read_labels(tmp_path)
    assert content.splits == ["train"] and content.report.counts.total() == 0
    (note,) = content.report.notes
    assert "2 images left out" in note


def test_its_panoptic_pictures_are_no_other_form(tmp_path: Path) -> None:
    """`createPanopticImgs.py` writes them into `gtFine`."""
    cityscapes(tmp_path)
    panoptic(tmp_path / "gtFine")
    assert recognise(tmp_path) == "cityscapes"


def test_archives_in_a_folder_each(tmp_path: Path) -> None:
    cityscapes(tmp_path / "x")
    for kind in ("gtFine", "leftImg8bit"):
        (tmp_path / f"{kind}_trainvaltest").mkdir()
        (tmp_path / "x" / kind).rename(tmp_path / f"{kind}_trainvaltest" / kind)
    (image,) = read_labels(tmp_path).coco["images"]
    assert image["file_name"] == "leftImg8bit_trainvaltest/leftImg8bit/train/ulm/ulm_0_leftImg8bit.png"


def test_coarse_archives_in_folders_of_their_own_give_way_too(tmp_path: Path, found: Any) -> None:
    cityscapes(tmp_path / "x")
    for kind in ("gtFine", "leftImg8bit"):
        (tmp_path / f"{kind}_trainvaltest").mkdir()
        (tmp_path / "x" / kind).rename(tmp_path / f"{kind}_trainvaltest" / kind)
    coarse = np.full((24, 31), 26000, np.uint16)
    save(tmp_path / "gtCoarse/gtCoarse/train/ulm/ulm_0_gtCoarse_instanceIds.png", coarse)
    content = read_labels(tmp_path)
    assert len(content.coco["images"]) == 1 and found(content).objects == {"car": 1, "person": 1}


@pytest.mark.parametrize("coarse", [26000, 0])
def test_coarse_labels_count_where_the_fine_ones_are_void(tmp_path: Path, found: Any, coarse: int) -> None:
    cityscapes(tmp_path)
    picture(tmp_path / "leftImg8bit/train/ulm/ulm_1_leftImg8bit.png")
    for kind, value in (("Fine", 0), ("Coarse", coarse)):
        path = tmp_path / f"gt{kind}/train/ulm/ulm_1_gt{kind}_instanceIds.png"
        save(path, np.full((24, 31), value, np.uint16))
    content = read_labels(tmp_path)
    assert len(content.coco["images"]) == 2 and found(content).objects["car"] == 1 + (coarse > 0)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("value", [0, 29])
def test_void_images_among_labelled_ones_are_without_objects(
    tmp_path: Path, found: Any, split: str, value: int
) -> None:
    """Nothing but background in one's own labels, or an ignored group of caravans."""
    cityscapes(tmp_path)
    for kind in ("gtFine", "leftImg8bit"):
        (tmp_path / kind / "train").rename(tmp_path / kind / split)
    values = np.zeros((24, 31), np.uint16)
    values[5:9, 5:9] = value
    save(tmp_path / f"gtFine/{split}/ulm/ulm_1_gtFine_instanceIds.png", values)
    picture(tmp_path / f"leftImg8bit/{split}/ulm/ulm_1_leftImg8bit.png")
    content = read_labels(tmp_path)
    assert (len(content.coco["images"]), content.report.notes) == (2, [])
    assert found(content).ignored == (value == 29)


def test_a_caravan_alone_is_a_label(tmp_path: Path) -> None:
    cityscapes(tmp_path)
    save(tmp_path / "gtFine/train/ulm/ulm_0_gtFine_instanceIds.png", np.full((24, 31), 29, np.uint16))
    content = read_labels(tmp_path)
    assert (len(content.coco["images"]), content.report.notes) == (1, [])
