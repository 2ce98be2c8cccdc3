"""Label images of 8, 16 and 32 bits; one object for each value, whatever its parts."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.data.formats.scenes import label_images, labelme, picture, save, write

from maskrcnn.data.formats.class_values import has_parts
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import labelled_images, read_labels, recognise
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.structures import RLE


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
        ("train/000_img.png", "train/000_masks.png"),
        ("x/a.tif", "x/a_mask.tif"),
        ("images/a.png", "masks/a_mask.png"),
        ("Images/a.png", "Masks/a.png"),
        ("IMG/train/a.png", "MASK/train/a_mask.png"),
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


def _discs() -> np.ndarray:
    """Two discs, white on black, with soft edges."""
    large = np.zeros((4 * 48, 4 * 62), np.uint8)
    for x in (60, 170):
        cv2.circle(large, (x, 90), 45, 255, -1)
    return np.asarray(cv2.resize(large, (62, 48), interpolation=cv2.INTER_AREA))


def test_a_shade_of_a_soft_edge_is_no_object(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    save(tmp_path / "masks/a.png", _discs())
    content = read_labels(tmp_path)
    assert content.coco["annotations"] == [] and "soft edges" in content.report.lines[0]


def test_small_objects_beside_a_large_one_are_no_soft_edges(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png")
    values = np.zeros((24, 31), np.uint8)
    values[1:20, 1:20] = 255
    for number in range(1, 6):
        values[4 * number - 3 : 4 * number, 25:28] = number
    save(tmp_path / "masks/a.png", values)
    assert len(read_labels(tmp_path).coco["annotations"]) == 6


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_numbers_that_a_jpeg_has_changed_are_no_objects(tmp_path: Path, mode: str) -> None:
    picture(tmp_path / "images/a.png")
    (tmp_path / "masks").mkdir()
    Image.fromarray(_discs()).convert(mode).save(tmp_path / "masks/a.jpg")
    content = read_labels(tmp_path)
    assert content.coco["annotations"] == [] and "got a JPEG" in content.report.lines[0]


def test_masks_without_an_image_are_reported(tmp_path: Path) -> None:
    label_images(tmp_path)
    save(tmp_path / "masks/lost.png", np.ones((24, 31), np.uint8))
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.MASK_FILE: 1} and "masks/lost.png: " in content.report.lines[0]


def test_names_that_a_mac_composes_otherwise(tmp_path: Path) -> None:
    picture(tmp_path / "images/e\u0301.png")
    save(tmp_path / "masks/\u00e9.png", np.ones((24, 31), np.uint8))
    content = read_labels(tmp_path)
    assert len(content.coco["annotations"]) == 1 and content.report.counts.total() == 0


@pytest.mark.parametrize("is_upright", [True, False])
@pytest.mark.parametrize(
    ("image", "masks"),
    [
        ("images/a.jpg", ["masks/a.png"]),
        ("x/images/x.jpg", ["x/masks/0.png"]),
        ("JPEGImages/a.jpg", ["SegmentationObject/a.png", "SegmentationClass/a.png"]),
    ],
)
def test_masks_of_a_turned_photograph(
    tmp_path: Path, bitmaps: Any, image: str, masks: list[str], is_upright: bool
) -> None:
    """Masks drawn on the stored pixels stay on them, as labels that state this size do."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / image).parent.mkdir(parents=True)
    Image.new("RGB", (31, 24)).save(tmp_path / image, exif=exif)
    values = np.zeros((31, 24) if is_upright else (24, 31), np.uint8)
    values[3:8, 2:8] = 1
    for mask in masks:
        save(tmp_path / mask, values)
    write(tmp_path / "class_names.txt", "_background_\ncell\n")  # of VOC
    data = labelled_images(read_labels(tmp_path), check_files=True)
    assert data.labels.size(0) == values.shape and not data.labels.ignore.any()
    assert data.report.counts == ({} if is_upright else {Fault.IMAGE_LABELLED_RAW: 1})
    ((_, mask),) = bitmaps(read_labels(tmp_path))
    assert np.array_equal(mask, values > 0)


@pytest.mark.parametrize(("gap", "others", "reported"), [(3, 255, 1), (0, 255, 0), (3, 7, 0)])
def test_masks_of_a_class_do_not_pass_for_masks_of_objects(
    tmp_path: Path, gap: int, others: int, reported: int
) -> None:
    """Of white alone, in parts: everything in an image became one object without a word."""
    picture(tmp_path / "images/a.png")
    values = np.zeros((24, 31), np.uint8)
    values[2:8, 2:10] = 255
    values[2:8, 10 + gap : 20] = others
    save(tmp_path / "masks/a.png", values)
    assert read_labels(tmp_path).report.counts == ({Fault.MASKS_OF_ONE_VALUE: 1} if reported else {})
    write(tmp_path / "labelmap.txt", "cell:255,255,255\nother:7,7,7\n")
    content = read_labels(tmp_path)
    assert content.report.counts.total() == 0 and len(content.coco["annotations"]) == (2 if gap else 1)


def masks_of(folder: Path, *rows: list[int]) -> LabelContent:
    """A mask for each row, of squares of these values, three pixels apart."""
    for number, row in enumerate(rows):
        values = np.zeros((24, 31), np.uint8)
        for place, value in enumerate(row):
            values[3:5, 4 * place : 4 * place + 1] = value
        picture(folder / f"images/{number}.png")
        save(folder / f"masks/{number}.png", values)
    return read_labels(folder)


@pytest.mark.parametrize(
    ("rows", "reported"),
    [
        ([[1, 2, 1, 2, 1]] * 4, "1, 2"),
        ([[1, 1, 2, 2], [2, 2, 1, 1], [1, 1], [2, 2, 7]], "1, 2"),  # not every class is in every image
        ([[1, 2, 1, 2]] * 2, ""),  # too few masks to tell
        ([[1, 2, 3, 4, 5], [1, 2, 3], [1, 2, 3, 4]], ""),  # numbers of objects recur, too
        ([[1, 1, 2, 3], [1, 2, 2, 3], [1, 2, 3]], ""),  # and some object is in two parts
        ([[1, 1, 2, 2], [3, 3, 4, 4], [5, 5, 6, 6]], ""),  # numbers that go on from image to image
        ([[1, 1, 2, 2, 3, 3], [1, 1, 2, 2], [1, 1, 2, 2]], ""),  # objects in two parts, as many as there are
    ],
)
def test_values_that_recur_in_parts_are_classes(tmp_path: Path, rows: list[list[int]], reported: str) -> None:
    content = masks_of(tmp_path, *rows)
    assert content.report.counts.total() == 0, "objects in parts may look the same: no fault"
    summary = "\n".join(labelled_images(content, check_files=True).report.summary())
    assert (f"of {len(rows)} masks may be classes ({reported}: " in summary) == bool(reported)


def test_parts_of_a_huge_mask_are_not_counted() -> None:
    """Two stripes, 20,000 pixels apart: as a bitmap with numbers that would be two gigabytes."""
    side = 20_000
    stripes = RLE((side, side), np.array([0, side, side * (side - 2), side]))
    tracemalloc.start()
    try:
        assert not has_parts(stripes)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_second_mask_of_an_image_is_a_fault(tmp_path: Path) -> None:
    """`000_img_cp_masks.png` is that of just this name; the other might be meant for it as in Cellpose's own data."""
    label_images(tmp_path)
    mask = next((tmp_path).rglob("masks/*"))
    for name in ("000_img.png", "b_img.png"):
        picture(tmp_path / "more" / name)
    for name in ("000_img_cp_masks", "000_masks", "b_masks", "c_label"):
        shutil.copy(mask, tmp_path / f"more/{name}{mask.suffix}")
    content = read_labels(tmp_path)
    ids = {image["id"]: image["file_name"] for image in content.coco["images"]}
    assert {ids[entry["image_id"]] for entry in content.coco["annotations"]} >= {"more/000_img.png", "more/b_img.png"}
    assert content.report.counts == {Fault.MASK_FILE: 2}
    assert sum("000_masks" in line and "another mask" in line for line in content.report.lines) == 1


def test_labelme_beside_label_pictures_stays_labelme(tmp_path: Path) -> None:
    labelme(tmp_path)
    text = (tmp_path / "a.json").read_text().replace("a.png", "a_img.png")
    (tmp_path / "a.json").unlink()
    (tmp_path / "a.png").rename(tmp_path / "a_img.png")
    write(tmp_path / "a_img.json", text)
    save(tmp_path / "a_label.png", np.ones((24, 31), np.uint8))
    assert recognise(tmp_path) == "labelme"
