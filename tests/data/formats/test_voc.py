"""Pascal VOC: palette pictures, colours in their place, and boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.formats.scenes import CAT, masks, pairs, picture, save, voc, write

from maskrcnn.data.formats.table import labelled_images, read_labels, recognise
from maskrcnn.data.formats.voc import CLASSES, palette
from maskrcnn.data.report import Fault


def test_the_palette_is_vocs() -> None:
    """Background, aeroplane, bicycle, person and border, as the development kit lists them."""
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 15: (192, 128, 128), 255: (224, 224, 192)}
    for index, (red, green, blue) in expected.items():
        assert palette()[index] == (red << 16) + (green << 8) + blue
    assert len(set(palette().tolist())) == 256 and len(CLASSES) == 20


def test_real_files(shared: Path, tmp_path: Path, found: Any) -> None:
    """Pixels of each object and its class, counted by Pillow and NumPy in the pictures of labelme2voc."""
    folder = tmp_path / "voc"
    folder.mkdir()
    for name in ("JPEGImages", "SegmentationClass", "SegmentationObject", "class_names.txt"):
        (folder / name).symlink_to(shared / "data/formats/voc" / name)
    for name in ("JPEGImages", "SegmentationClass", "SegmentationObject"):  # folders are not followed
        (folder / name).unlink()
        (folder / name).mkdir()
        for file in (shared / "data/formats/voc" / name).iterdir():
            (folder / name / file.name).symlink_to(file)
    result = found(read_labels(folder))
    assert result.objects == {"bottle": 1, "bus": 2, "car": 1, "chair": 1, "person": 6, "sofa": 1}
    areas = [15662, 17218, 873, 14690, 11672, 7463, 44403, 991, 14002, 102450, 15781, 7256]
    assert (result.ignored, result.area) == (0, sum(areas))


def test_colours_in_place_of_indices(shared: Path, found: Any) -> None:
    """Its one object covers all of 20 x 10 pixels in VOC's colour of class 2, the bicycle."""
    result = found(read_labels(shared / "data/formats/voc/datumaro_voc1"))
    assert (result.objects, result.ignored, result.area) == ({"bicycle": 1}, 0, 200)


def test_names_and_colours_of_a_label_map(tmp_path: Path, bitmaps: Any) -> None:
    """CVAT's "segmentation mask": any colours, named in a file."""
    picture(tmp_path / "JPEGImages/a.png")
    objects, classes = np.zeros((24, 31, 3), np.uint8), np.zeros((24, 31, 3), np.uint8)
    for k, mask in enumerate(masks().values()):
        objects[mask], classes[mask] = (128, 10 * k, 0), (9, 9, 100 + k)
    save(tmp_path / "SegmentationObject/a.png", objects)
    save(tmp_path / "SegmentationClass/a.png", classes)
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", "cat:9,9,100::", "dog:9,9,101::"]
    write(tmp_path / "labelmap.txt", "\n".join(lines))
    assert {(name, int(mask.sum())) for name, mask in bitmaps(read_labels(tmp_path))} == {("cat", 30), ("dog", 80)}


def own_classes(folder: Path, stem: str = "a") -> None:
    """Masks of the classes 1 and 2 without their names."""
    picture(folder / f"JPEGImages/{stem}.png")
    objects = sum(number * mask.astype(np.uint8) for number, mask in enumerate(masks().values(), start=1))
    for name in ("SegmentationObject", "SegmentationClass"):
        save(folder / name / f"{stem}.png", np.asarray(objects, np.uint8))


def test_classes_of_ones_own_without_names_are_reported(tmp_path: Path) -> None:
    own_classes(tmp_path)
    content = read_labels(tmp_path)
    assert content.class_names == ("aeroplane", "bicycle") and content.report.counts.total() == 0, "they may be right"
    (note,) = labelled_images(content, check_files=True).report.notes
    assert "(1 aeroplane, 2 bicycle)" in note


@pytest.mark.parametrize(
    ("stem", "annotated", "reported"),
    [
        ("2007_000032", "", False),
        ("a", "bicycle", False),
        ("a", "helmet", True),
        ("20070_00032", "", True),
    ],
)
def test_vocs_own_names_are_known(tmp_path: Path, stem: str, annotated: str, reported: bool) -> None:
    own_classes(tmp_path, stem)
    if annotated:
        write(
            tmp_path / f"Annotations/{stem}.xml", f"<annotation><object><name>{annotated}</name></object></annotation>"
        )
    assert bool(read_labels(tmp_path).report.notes) == reported


@pytest.mark.parametrize("name", ["class_names.txt", "labelmap.txt"])
def test_named_classes_are_not_reported(tmp_path: Path, name: str) -> None:
    own_classes(tmp_path)
    lines = ["_background_", "nut", "bolt"]
    if name == "labelmap.txt":
        lines = ["background:0,0,0::", "nut:128,0,0::", "bolt:0,128,0::"]
    write(tmp_path / name, "\n".join(lines))
    content = read_labels(tmp_path)
    assert content.class_names == ("nut", "bolt") and content.report.counts.total() == 0


def test_an_empty_line_of_class_names_has_its_number(tmp_path: Path) -> None:
    own_classes(tmp_path)
    write(tmp_path / "a/class_names.txt", "_background_\nthose\nof others\n")
    write(tmp_path / "class_names.txt", "_background_\n\nbolt\n\n")
    assert read_labels(tmp_path).class_names == ("1", "bolt")


def test_the_colours_of_the_nearest_file_count(tmp_path: Path) -> None:
    own_classes(tmp_path)
    write(tmp_path / "a/labelmap.txt", "those:128,0,0::\nof others:0,128,0::\n")
    write(tmp_path / "labelmap.txt", "nut:128,0,0::\nbolt:0,128,0::\n")
    assert read_labels(tmp_path).class_names == ("nut", "bolt")


def test_images_of_two_splits_of_one_folder_are_reported(tmp_path: Path) -> None:
    voc(tmp_path)
    for split in ("train", "val"):
        write(tmp_path / f"ImageSets/Segmentation/{split}.txt", "a\nb\nc\nc\n")
    content = read_labels(tmp_path)
    assert content.splits == ["train"] and content.report.counts == {Fault.IMAGES_OF_TWO_SPLITS: 1}
    assert (
        "ImageSets/Segmentation: " in content.report.lines[0] and "3 images of train and val" in content.report.lines[0]
    )


def test_the_border_belongs_to_no_object(tmp_path: Path, bitmaps: Any) -> None:
    voc(tmp_path)
    assert not any(mask[0].any() for _, mask in bitmaps(read_labels(tmp_path)))


def test_splits_are_those_of_the_image_sets(tmp_path: Path) -> None:
    voc(tmp_path)
    write(tmp_path / "ImageSets/Main/val.txt", "a 1\n")
    assert read_labels(tmp_path).splits == ["train"], "the segmentation's lists go before others"


BOXES = """<annotation><filename>a.png</filename><size><width>31</width><height>24</height></size>
<object><name>cat</name><difficult>0</difficult><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>8</xmax><ymax>8</ymax></bndbox>
</object><object><name>dog</name><difficult>1</difficult><bndbox><xmin>13</xmin><ymin>6</ymin><xmax>22</xmax>
<ymax>19</ymax></bndbox></object><object><name>cow</name><bndbox><xmin>x</xmin></bndbox></object></annotation>"""


def test_boxes_count_pixels_from_one_and_name_the_last(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages/a.png")
    write(tmp_path / "Annotations/a.xml", BOXES)
    content = read_labels(tmp_path)
    assert [(entry["bbox"], entry["iscrowd"]) for entry in content.coco["annotations"]] == [
        ([2, 3, 6, 5], 0),
        ([12, 5, 10, 14], 1),
    ]
    assert content.report.counts == {Fault.SHAPE_MALFORMED: 1}


@pytest.mark.parametrize("size", [(30, 24), (31, 25)])
def test_pictures_of_unlike_sizes_are_reported(tmp_path: Path, size: tuple[int, int]) -> None:
    voc(tmp_path)
    Image.new("L", size).save(tmp_path / "SegmentationClass/a.png")
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.MASK_FILE: 1} and content.coco["annotations"] == []


def test_an_object_of_no_known_class_is_reported(tmp_path: Path) -> None:
    voc(tmp_path)
    save(tmp_path / "SegmentationClass/a.png", np.full((24, 31), 99, np.uint8))
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.UNKNOWN_CATEGORY: 2}


def test_boxes_of_a_turned_photograph_are_in_the_frame_whose_size_they_state(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "JPEGImages").mkdir()
    Image.new("RGB", (31, 24)).save(tmp_path / "JPEGImages/a.jpg", exif=exif)
    write(tmp_path / "Annotations/a.xml", BOXES)
    (image,) = read_labels(tmp_path).coco["images"]
    assert (image["height"], image["width"]) == (24, 31)


def test_boxes_beside_images_of_one_name_in_two_folders(tmp_path: Path) -> None:
    """As Roboflow exports them."""
    for split in ("train", "valid"):
        picture(tmp_path / split / "a.png")
        write(tmp_path / split / "a.xml", BOXES)
    content = read_labels(tmp_path)
    assert [image["file_name"] for image in content.coco["images"]] == ["train/a.png", "valid/a.png"]
    assert content.splits == ["train", "val"] and len(content.coco["annotations"]) == 4


def test_the_image_is_that_of_the_stem_or_else_that_stated(tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages/a.png")
    write(tmp_path / "Annotations/label1.xml", BOXES)
    assert [image["file_name"] for image in read_labels(tmp_path).coco["images"]] == ["JPEGImages/a.png"]


def test_outlines_that_roboflow_adds_to_boxes(tmp_path: Path) -> None:
    outline = "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate(pairs(CAT), start=1))
    picture(tmp_path / "train/a.png")
    write(tmp_path / "train/a.xml", BOXES.replace("<name>cat</name>", f"<name>cat</name><polygon>{outline}</polygon>"))
    assert recognise(tmp_path) == "voc"
    cat, dog = read_labels(tmp_path).coco["annotations"]
    assert (cat["segmentation"], cat["bbox"]) == ([CAT], [2, 3, 6, 5]) and "segmentation" not in dog


def test_subsets_of_cvat_are_splits(tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/train.txt").rename(tmp_path / "ImageSets/Segmentation/Validation.txt")
    assert read_labels(tmp_path).splits == ["val"]


def test_two_lists_of_one_split_share_what_they_like(tmp_path: Path) -> None:
    voc(tmp_path)
    for name in ("train", "training"):
        write(tmp_path / f"ImageSets/Segmentation/{name}.txt", "a\n")
    content = read_labels(tmp_path)
    assert content.splits == ["train"] and content.report.counts.total() == 0


def outlined(folder: Path, *outlines: str) -> Any:
    """The cat of one image, with these outlines, and the faults."""
    parts = "".join(f"<polygon>{outline}</polygon>" for outline in outlines)
    boxes = BOXES.replace("<name>cat</name>", f"<name>cat</name>{parts}").partition("<object><name>cow")[0]
    picture(folder / "a.png")
    write(folder / "a.xml", f"{boxes}</annotation>")
    content = read_labels(folder)
    return content.coco["annotations"][0], content.report.counts


def corners(*flat: Any) -> str:
    return "".join(f"<x{n}>{x}</x{n}><y{n}>{y}</y{n}>" for n, (x, y) in enumerate(pairs(list(flat)), start=1))


def test_several_outlines_are_parts_of_one_object(tmp_path: Path) -> None:
    parts = [[2, 3, 8, 3, 8, 8], [20, 3, 28, 3, 28, 8]]
    cat, counts = outlined(tmp_path, *(corners(*part) for part in parts))
    assert cat["segmentation"] == parts and counts.total() == 0


@pytest.mark.parametrize(
    ("outline", "fault"),
    [
        (corners(2, 3), Fault.POLYGON_SHORT),
        (corners(2, 3, 8, 8), Fault.POLYGON_SHORT),
        ("<point><x>2</x><y>3</y></point>", Fault.POLYGON_SHORT),
        ("<x1>2</x1><y1>3</y1><x2>8</x2>", Fault.POLYGON_NUMBERS),
        (corners(2, 3, 8, 3, 8, 8, "x", 8, 2, 5), Fault.POLYGON_NUMBERS),
        (corners(2, 3, 8, 3, 8, 8) * 2, Fault.POLYGON_NUMBERS),
    ],
)
def test_of_a_bad_outline_the_box_is_left(tmp_path: Path, outline: str, fault: Fault) -> None:
    cat, counts = outlined(tmp_path, corners(2, 3, 8, 3, 8, 8), outline)
    assert (cat["bbox"], "segmentation" in cat, counts) == ([2, 3, 6, 5], False, {fault: 1})


def test_an_empty_outline_states_nothing(tmp_path: Path) -> None:
    cat, counts = outlined(tmp_path, "")
    assert cat["bbox"] == [2, 3, 6, 5] and counts.total() == 0
