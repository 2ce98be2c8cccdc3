"""Label images of 8, 16 and 32 bits; one object for each value, whatever its parts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.formats.scenes import label_images, picture, save

from maskrcnn.data.formats.table import read_labels, recognise
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError


# Objects and areas: values and pixels that are not zero, counted by NumPy in the files of StarDist.
@pytest.mark.parametrize(("folder", "objects", "area"), [(".", 125, 52226), ("small", 65, 4192)])
def test_real_label_images(shared: Path, tmp_path: Path, found: Any, folder: str, objects: int, area: int) -> None:
    source = shared / "data/formats/cellpose_label_image" / folder
    for name, place in {"img2d.tif": "images/x.tif", "mask2d.tif": "masks/x.tif"}.items():
        (tmp_path / place).parent.mkdir()
        shutil.copy(source / name, tmp_path / place)
    result = found(read_labels(tmp_path))
    assert (result.objects, result.ignored, result.area) == ({"object": objects}, 0, area)


@pytest.mark.parametrize(
    ("dtype", "ending"), [("u1", "png"), ("u2", "png"), ("u2", "tif"), ("i4", "tif"), ("f4", "tif")]
)
def test_every_depth(tmp_path: Path, dtype: str, ending: str) -> None:
    picture(tmp_path / "images/a.png")
    values = np.zeros((24, 31), dtype)
    values[2:4, 2:5], values[10:12, 6:8] = 1, 200 if dtype == "u1" else 60_000
    save(tmp_path / f"masks/a.{ending}", values)
    entries = read_labels(tmp_path).coco["annotations"]
    assert [entry["bbox"] for entry in entries] == [[2, 2, 3, 2], [6, 10, 2, 2]]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/a.png", "masks/a.png"),
        ("train/images/a.jpg", "train/masks/a.tif"),
        ("images/train/a.png", "labels/train/a.png"),
        ("a.png", "a_masks.png"),
        ("a.png", "a_cp_masks.png"),
        ("x/a.tif", "x/a_mask.tif"),
        ("images/a.png", "masks/a_mask.png"),
    ],
)
def test_where_masks_lie(tmp_path: Path, image: str, mask: str) -> None:
    picture(tmp_path / image)
    values = np.zeros((24, 31), np.uint8)
    values[3, 4] = 9
    save(tmp_path / mask, values)
    assert recognise(tmp_path) == "label-images"
    content = read_labels(tmp_path)
    assert [entry["file_name"] for entry in content.coco["images"]] == [image]
    assert [entry["bbox"] for entry in content.coco["annotations"]] == [[4, 3, 1, 1]]


def test_cellposes_outlines_and_flows_are_no_images(tmp_path: Path) -> None:
    label_images(tmp_path)
    for name in ("a_cp_outlines.png", "a_flows.tif"):
        picture(tmp_path / "images" / name)
    assert [image["file_name"] for image in read_labels(tmp_path).coco["images"]] == ["images/a.png"]


def test_what_is_no_label_image_is_reported(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        picture(tmp_path / f"images/{name}.png")
    picture(tmp_path / "masks/a.png")  # colours
    save(tmp_path / "masks/b.tif", np.full((24, 31), 0.5, np.float32))
    (tmp_path / "masks/c.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.MASK_FILE: 4} and content.coco["annotations"] == []
    lines = "\n".join(content.report.lines)
    assert "got colours" in lines and "whole numbers" in lines and "broken" in lines and "d.png" in lines


def test_grey_saved_as_colours_is_read(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    values = np.zeros((24, 31, 3), np.uint8)
    values[5:7, 5:7] = 4
    save(tmp_path / "masks/a.png", values)
    assert len(read_labels(tmp_path).coco["annotations"]) == 1


def test_a_mask_of_another_size_is_a_fault_of_the_object(tmp_path: Path, through_reader: Any) -> None:
    picture(tmp_path / "images/a.png")
    Image.new("L", (10, 10), 1).save((tmp_path / "images/a.png").with_name("a_mask.png"))
    data = through_reader(read_labels(tmp_path))
    assert data.report.counts[Fault.RLE_SIZE] == 1


def test_a_label_image_is_a_folder(tmp_path: Path) -> None:
    label_images(tmp_path)
    with pytest.raises(UserError, match="known form"):
        recognise(tmp_path / "masks/a.png")
