"""Cityscapes: tiny pictures of a public test suite; values counted in them by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.data.formats.scenes import cityscapes, panoptic, save

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
        "train_extra/bonn/bonn_0_leftImg8bit.png",
        "train/ulm/ulm_0_leftImg8bit.png",
    ]
    assert len(content.coco["annotations"]) == 1 + 2


def test_images_whose_labels_are_kept_back_are_left_out(tmp_path: Path) -> None:
    """Those of `test` are void: the own car, and the border of the rectified picture."""
    cityscapes(tmp_path)
    values = np.zeros((24, 31), np.uint16)
    values[0], values[20:] = 2, 1
    save(tmp_path / "gtFine/test/bonn/bonn_0_gtFine_instanceIds.png", values)
    content = read_labels(tmp_path)
    assert content.splits == ["train"] and content.report.counts.total() == 0
    assert "1 image left out" in content.report.notes[0]


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
