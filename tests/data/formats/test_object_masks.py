"""One mask for each object. No sample could be had: the files follow the documented layout of BBBC038 (stage 1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.formats.scenes import object_masks, picture, save

from maskrcnn.data.formats.table import read_labels, recognise
from maskrcnn.data.report import Fault


def test_overlapping_masks_of_every_kind_of_picture(tmp_path: Path, found: Any) -> None:
    """0/255, 0/1, one bit, grey with alpha, colours with alpha: 4 x 4 pixels each, one above the other."""
    ones = np.zeros((24, 31), np.uint8)
    ones[5:9, 5:9] = 1
    colours = np.zeros((24, 31, 4), np.uint8)
    colours[5:9, 5:9] = (255, 0, 0, 255)
    colours[12:16, 12:16] = (255, 255, 255, 0)  # transparent: not the object
    grey = np.stack([ones * 255, ones * 255], axis=2)
    picture(tmp_path / "ab1/images/ab1.png")
    for number, values in enumerate((ones * 255, ones, ones > 0, grey, colours)):
        save(tmp_path / f"ab1/masks/{number}.png", values)
    assert recognise(tmp_path) == "object-masks"
    result = found(read_labels(tmp_path))
    assert (result.objects, result.ignored, result.area) == ({"object": 5}, 0, 5 * 16)


def test_folders_in_capitals(tmp_path: Path, found: Any) -> None:
    picture(tmp_path / "x/Images/x.png")
    ones = np.zeros((24, 31), np.uint8)
    ones[5:9, 5:9] = 1
    save(tmp_path / "x/Masks/cat/0.png", ones)
    save(tmp_path / "y/Masks/0.png", ones)
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.MASK_FILE: 1} and found(content).objects == {"cat": 1}


def test_holes_stay_holes(tmp_path: Path, bitmaps: Any) -> None:
    ring = np.zeros((24, 31), np.uint8)
    ring[4:14, 4:14] = 255
    ring[8, 8] = 0
    picture(tmp_path / "x/images/x.png")
    save(tmp_path / "x/masks/0.png", ring)
    ((_, mask),) = bitmaps(read_labels(tmp_path))
    assert np.array_equal(mask, ring > 0)


def test_empty_and_broken_masks_are_reported(tmp_path: Path) -> None:
    object_masks(tmp_path)
    save(tmp_path / "x1/masks/cat/1.png", np.zeros((24, 31), np.uint8))
    (tmp_path / "x1/masks/cat/2.png").write_bytes(b"nothing")
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.MASK_FILE: 2} and len(content.coco["annotations"]) == 2


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_smear_of_a_jpeg_is_not_the_object(tmp_path: Path, bitmaps: Any, mode: str) -> None:
    picture(tmp_path / "x/images/x.png")
    square = np.zeros((24, 31), np.uint8)
    square[3:14, 5:18] = 255
    (tmp_path / "x/masks").mkdir()
    Image.fromarray(square).convert(mode).save(tmp_path / "x/masks/0.jpg", quality=80)
    ((_, mask),) = bitmaps(read_labels(tmp_path))
    assert np.array_equal(mask, square > 0)


def test_masks_without_an_image_are_reported(tmp_path: Path) -> None:
    object_masks(tmp_path)
    save(tmp_path / "x2/masks/0.png", np.ones((24, 31), np.uint8))
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.MASK_FILE: 1} and "x2/masks/0.png: " in content.report.lines[0]


def test_images_without_masks_are_reported(tmp_path: Path) -> None:
    """Whether they show nothing, or are not labelled yet, nobody says: so they are no background."""
    object_masks(tmp_path)
    before = len(read_labels(tmp_path).coco["images"])
    picture(tmp_path / "late/images/late.png")
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.MASK_FILE: 1} and "late/images/late.png: " in content.report.lines[0]
    assert len(content.coco["images"]) == before


def test_samples_to_be_predicted_have_no_masks(tmp_path: Path) -> None:
    """As in the `stage1_test` of the Data Science Bowl; one without masks among others that have some is a fault."""
    object_masks(tmp_path / "stage1_train")
    for name in ("stage1_test/y", "stage1_test/z", "stage2_test_final/v", "stage2_test_final/w"):
        picture(tmp_path / name / "images/a.png")
    content = read_labels(tmp_path)
    assert content.report.counts.total() == 0 and len(content.coco["images"]) == 1
    assert content.report.notes == [
        f"{tmp_path}: 4 images left out, such as stage1_test/y/images/a.png: no sample there has masks"
    ]
    picture(tmp_path / "stage1_train/y/images/y.png")
    assert read_labels(tmp_path).report.counts == {Fault.MASK_FILE: 1}


def test_a_sample_alone_in_its_folder_is_not_to_be_predicted(tmp_path: Path) -> None:
    """A folder for each patient: one without masks was forgotten."""
    for number in range(3):
        picture(tmp_path / f"p{number}/s/images/x.png")
    save(tmp_path / "p0/s/masks/0.png", np.ones((24, 31), np.uint8))
    content = read_labels(tmp_path)
    assert (content.report.counts, content.report.notes) == ({Fault.MASK_FILE: 2}, [])


def test_masks_that_no_image_can_have_are_masks(tmp_path: Path) -> None:
    object_masks(tmp_path / "train")
    for name in ("b/images/b", "b/images/b2", "b/masks/0", "c/images/c"):
        picture(tmp_path / f"test/{name}.png")
    content = read_labels(tmp_path)
    assert (content.report.counts, content.report.notes) == ({Fault.MASK_FILE: 4}, [])
