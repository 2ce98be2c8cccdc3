"""Masks in which a colour is a class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.formats.scenes import colour_masks, label_images, masks, picture, save, write

from maskrcnn.data.formats.table import read_labels, recognise
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError


def test_regions_of_one_colour_are_objects_each(tmp_path: Path, found: Any) -> None:
    """Two squares of 9 pixels apart, and two of 4 whose corners touch."""
    colour_masks(tmp_path)
    colours = np.zeros((24, 31, 3), np.uint8)
    for y, x, side in ((2, 2, 3), (2, 8, 3), (10, 10, 2), (12, 12, 2)):
        colours[y : y + side, x : x + side] = (200, 100, 0)
    save(tmp_path / "masks/a.png", colours)
    result = found(read_labels(tmp_path))
    assert (result.objects, result.area) == ({"cat": 3}, 9 + 9 + 8)


def test_classes_in_the_folders_of_voc(tmp_path: Path, bitmaps: Any) -> None:
    picture(tmp_path / "JPEGImages/a.png")
    colours = np.zeros((24, 31, 3), np.uint8)
    colours[masks()["cat"]] = (1, 2, 3)
    save(tmp_path / "SegmentationClass/a.png", colours)
    write(tmp_path / "labelmap.txt", "background:0,0,0::\ncat:1,2,3::\n")
    assert recognise(tmp_path) == "colour-masks"
    assert [(name, int(mask.sum())) for name, mask in bitmaps(read_labels(tmp_path))] == [("cat", 30)]


def test_unknown_colours_and_photographs_are_reported(tmp_path: Path) -> None:
    colour_masks(tmp_path)
    save(tmp_path / "masks/a.png", np.full((24, 31, 3), 77, np.uint8))
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.UNKNOWN_CATEGORY: 1} and "colour 77,77,77" in content.report.lines[0]
    rng = np.random.default_rng(0)
    save(tmp_path / "masks/a.png", rng.integers(0, 256, (60, 60, 3), dtype=np.uint8))
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.MASK_FILE: 1} and "saved as JPEG" in content.report.lines[0]


@pytest.mark.parametrize("text", ["", "cat", "cat:1,2", "cat:a,b,c", "cat:0,0,0::", ":1,2,3", "\x1b[2J:1,2,3::"])
def test_a_label_map_without_a_colour_names_nothing(tmp_path: Path, text: str) -> None:
    colour_masks(tmp_path)
    write(tmp_path / "labelmap.txt", text)
    content = read_labels(tmp_path)
    assert content.coco["categories"] == [] and content.report.counts == {Fault.UNKNOWN_CATEGORY: 2}


def test_without_a_label_map_they_are_label_images(tmp_path: Path) -> None:
    """Which have no colours: the line says so."""
    colour_masks(tmp_path)
    (tmp_path / "labelmap.txt").unlink()
    assert "got colours" in read_labels(tmp_path).report.lines[0]
    with pytest.raises(UserError):
        recognise(tmp_path / "masks")


@pytest.mark.parametrize(("mode", "colour"), [("P", (200, 100, 0)), ("L", (90, 90, 90)), ("1", (255, 255, 255))])
def test_colours_of_a_palette_and_of_grey(
    tmp_path: Path, bitmaps: Any, mode: str, colour: tuple[int, int, int]
) -> None:
    colour_masks(tmp_path)
    colours = np.zeros((24, 31, 3), np.uint8)
    colours[masks()["cat"]] = colour
    image = Image.fromarray(colours)
    (image.quantize(4) if mode == "P" else image.convert(mode)).save(tmp_path / "masks/a.png")
    write(tmp_path / "labelmap.txt", f"cat:{','.join(map(str, colour))}\n")
    content = read_labels(tmp_path)
    ((name, mask),) = bitmaps(content)
    assert name == "cat" and np.array_equal(mask, masks()["cat"]) and content.report.counts.total() == 0


def test_masks_of_roboflow_have_the_names_of_their_values(tmp_path: Path, bitmaps: Any) -> None:
    values = np.zeros((24, 31), np.uint8)
    for value, mask in enumerate(masks().values(), start=1):
        values[mask] = value
    for split in ("train", "valid"):
        picture(tmp_path / split / "a_jpg.rf.0123.jpg")
        save(tmp_path / split / "a_jpg.rf.0123_mask.png", values)
        write(tmp_path / split / "_classes.csv", "Pixel Value, Class\n0, background\n1, cat\n2, dog\n")
    assert recognise(tmp_path) == "colour-masks"
    content = read_labels(tmp_path)
    assert content.splits == ["train", "val"] and content.report.counts.total() == 0
    assert [(name, int(mask.sum())) for name, mask in bitmaps(content)] == [("cat", 30), ("dog", 80)] * 2


@pytest.mark.parametrize(
    "text",
    ["Pixel Value, Class\n0, background\n1 , cat\n2, dog\n", '"Pixel Value","Class"\n"1","cat"\n"2","dog"\n'],
)
def test_values_are_those_of_the_folder_and_written_as_csv(tmp_path: Path, bitmaps: Any, text: str) -> None:
    values = np.zeros((24, 31), np.uint8)
    for value, mask in enumerate(masks().values(), start=1):
        values[mask] = value
    for split, names in (
        ("train", text),
        ("valid", text.replace("cat", "?").replace("dog", "cat").replace("?", "dog")),
    ):
        picture(tmp_path / split / "a.png")
        save(tmp_path / split / "a_mask.png", values)
        write(tmp_path / split / "_classes.csv", names)
    found = [(name, int(mask.sum())) for name, mask in bitmaps(read_labels(tmp_path))]
    assert found == [("cat", 30), ("dog", 80), ("dog", 30), ("cat", 80)]


def test_a_list_of_the_classes_of_whole_images_names_no_values(tmp_path: Path) -> None:
    label_images(tmp_path)
    write(tmp_path / "_classes.csv", "filename, cat, dog\na.png, 1, 0\n")
    assert recognise(tmp_path) == "label-images"
