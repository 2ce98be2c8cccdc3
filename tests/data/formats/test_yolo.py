"""YOLO's label files: the dialects of data.yaml, lines of both kinds, parts and holes by bridges."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.formats.scenes import coco, label_images, picture, voc, write, yolo

from maskrcnn.data.coco import read_coco
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels, recognise
from maskrcnn.data.formats.yolo import label_file
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.structures import KeypointSchema
from maskrcnn.structures.masks import ByteArray

ReadForm = Callable[[Path, str], LabelContent]
Bitmaps = Callable[[LabelContent], list[tuple[str, ByteArray]]]


@pytest.fixture
def read_lines(tmp_path: Path) -> Callable[..., LabelContent]:
    """Labels of a 31 x 24 image with three classes."""

    def read(*lines: str) -> LabelContent:
        yolo(tmp_path)
        write(tmp_path / "labels/train/a.txt", "\n".join(lines))
        write(tmp_path / "data.yaml", "train: images/train\nnames: {0: a, 1: b, 2: c}\n")
        return read_labels(tmp_path)

    return read


def test_a_sample_of_polygons(shared: Path, read_form: ReadForm, found: Any) -> None:
    """Two polygons on 15 x 10 pixels; area by pycocotools from the coordinates times the size."""
    content = read_form(shared / "data/formats/yolo_seg/yolov8_segmentation", "yolo")
    result = found(content)
    assert (result.objects, result.ignored) == ({"label_2": 1, "label_4": 1}, 0)
    assert content.splits == ["train"] and len(content.coco["categories"]) == 10


@pytest.mark.parametrize(
    ("sample", "images", "objects", "splits"),
    [
        ("yolo", 3, 4, ["train", "val"]),  # Roboflow's paths, which lead out of the folder, and `valid` for `val`
        ("yolov8_detection_with_list_of_names", 1, 2, ["train"]),
        ("yolov8_detection_with_subset_txt", 1, 2, ["train"]),  # a list file, whose names begin elsewhere
    ],
)
def test_samples_of_boxes(
    shared: Path, read_form: ReadForm, found: Any, sample: str, images: int, objects: int, splits: list[str]
) -> None:
    """Boxes alone are ignored regions for a model with masks."""
    content = read_form(shared / "data/formats/yolo_seg" / sample, "yolo")
    result = found(content)
    assert (len(content.coco["images"]), result.ignored, result.objects, content.splits) == (
        images,
        objects,
        {},
        splits,
    )


@pytest.mark.parametrize(
    "settings",
    [
        "path: .\ntrain: images/train\nnames: [cat, dog]",
        "path: /home/me/data\ntrain: ../images/train\nval: []\nnames: {0: cat, 1: dog}\nnc: 2",
        "train: [images/train, images/more]\nnames: {1: dog, 0: cat}",
        "path: ../../../../etc\ntrain: ./images/train/\nnames: [cat, dog]",
        "train: list.txt\nnames: [cat, dog]",
        "train: C:\\data\\images\\train\nnames: [cat, dog]",
    ],
)
def test_dialects_of_the_settings(tmp_path: Path, settings: str, bitmaps: Bitmaps) -> None:
    yolo(tmp_path)
    write(tmp_path / "data.yaml", settings)
    write(tmp_path / "list.txt", "/elsewhere/images/train/a.png\n")
    content = read_labels(tmp_path)
    assert content.splits == ["train"]
    assert [name for name, _ in bitmaps(content)] == ["cat", "dog"]


def test_without_settings_classes_are_numbers_or_those_of_classes_txt(tmp_path: Path, bitmaps: Bitmaps) -> None:
    yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    assert [name for name, _ in bitmaps(read_labels(tmp_path))] == ["0", "1"]
    write(tmp_path / "classes.txt", "cat\ndog\n")
    assert [name for name, _ in bitmaps(read_labels(tmp_path))] == ["cat", "dog"]


def test_darknets_lists_name_splits_and_classes(tmp_path: Path) -> None:
    """CVAT's "YOLO 1.1": texts beside the images, and paths that begin with `data/`."""
    for split in ("train", "valid"):
        picture(tmp_path / f"obj_{split}_data/a.png")
        write(tmp_path / f"obj_{split}_data/a.txt", "1 0.5 0.5 0.2 0.2\n")
        write(tmp_path / f"{split}.txt", f"data/obj_{split}_data/a.png\n")
    write(tmp_path / "obj.names", "cat\ndog\n")
    write(
        tmp_path / "obj.data", "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
    )
    content = read_labels(tmp_path)
    assert (content.splits, content.class_names) == (["train", "val"], ("cat", "dog"))
    assert len(content.coco["annotations"]) == 2 and content.report.counts.total() == 0
    (tmp_path / "obj.data").unlink()
    assert len(read_labels(tmp_path).coco["annotations"]) == 2, "by their classes alone"
    (tmp_path / "obj.names").unlink()
    with pytest.raises(UserError, match="found none"):
        read_labels(tmp_path)


@pytest.mark.parametrize("text", ["hello world", "names = x.names", "train = a.txt", "a" * 2_000_000, None])
def test_a_file_of_darknets_name_may_be_anything(tmp_path: Path, text: str | None) -> None:
    coco(tmp_path)
    (tmp_path / "mesh").mkdir()
    if text is None:
        (tmp_path / "mesh/obj.data").symlink_to("nowhere")
    else:
        write(tmp_path / "mesh/obj.data", text)
    assert recognise(tmp_path) == "coco"


def test_darknets_file_names_that_of_its_classes_and_lies_anywhere(tmp_path: Path) -> None:
    """`data/` in front of its paths is nowhere; splits are called as in CVAT; an old list of classes says nothing."""
    for split in ("Train", "Validation"):
        picture(tmp_path / f"exp/obj_{split}_data/{split}.png")
        write(tmp_path / f"exp/obj_{split}_data/{split}.txt", "1 0.5 0.5 0.2 0.2\n")
        write(tmp_path / f"exp/{split}.txt", f"data/obj_{split}_data/{split}.png\n")
    write(tmp_path / "classes.txt", "old\nlist\n")
    write(tmp_path / "exp/my.names", "cat\ndog\n")
    lines = ["classes = 2", "Train = data/Train.txt", "Validation = data/Validation.txt", "names = data/my.names"]
    write(tmp_path / "exp/obj.data", "\n".join(lines))
    content = read_labels(tmp_path)
    assert (content.splits, content.class_names) == (["train", "val"], ("cat", "dog"))
    assert len(content.coco["annotations"]) == 2 and content.report.counts.total() == 0, content.report.lines


def test_texts_beside_images_leave_stronger_forms_alone(tmp_path: Path) -> None:
    """labelImg writes both; and numbers beside an image may be anything where they are no parts of it."""
    voc(tmp_path / "a")
    (xml,) = (tmp_path / "a").rglob("*.xml")
    for name in ("label-images", "both"):
        write(tmp_path / name / "classes.txt", "cat\n")
    label_images(tmp_path / "label-images")
    image = next(file for file in (tmp_path / "label-images/images").iterdir())
    write(image.with_suffix(".txt"), "1 2 3 4 5\n")
    assert recognise(tmp_path / "label-images") == "label-images"
    picture(tmp_path / "both/a.png")
    write(tmp_path / "both/a.xml", xml.read_text())
    write(tmp_path / "both/a.txt", "0 0.5 0.5 0.2 0.2\n")
    assert recognise(tmp_path / "both") == "voc"


def test_an_empty_line_of_classes_txt_has_its_number(tmp_path: Path, bitmaps: Bitmaps) -> None:
    yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / "a/classes.txt", "those\nof\nothers\n")
    write(tmp_path / "classes.txt", "cat\n \ndog\n\n  \n")
    content = read_labels(tmp_path)
    assert content.class_names == ("cat", "1", "dog")
    assert [name for name, _ in bitmaps(content)] == ["cat", "1"]
    assert content.report.counts == {Fault.CLASS_NUMBERED: 1} and "classes.txt: class 1: " in content.report.lines[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_text_as_windows_writes_it(tmp_path: Path, bitmaps: Bitmaps, encoding: str) -> None:
    """The mark in front of a text belongs neither to the first object nor to the first class."""
    yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / "classes.txt", "cat\ndog\n")
    for file in (tmp_path / "classes.txt", tmp_path / "labels/train/a.txt"):
        file.write_bytes(file.read_text().replace("\n", "\r\n").encode(encoding))
    content = read_labels(tmp_path)
    assert [(name, int(mask.sum())) for name, mask in bitmaps(content)] == [("cat", 30), ("dog", 80)]
    assert content.report.counts.total() == 0


def test_indices_of_names_may_be_text(tmp_path: Path, bitmaps: Bitmaps) -> None:
    yolo(tmp_path)
    write(tmp_path / "data.yaml", "train: images/train\nnames: {'1': dog, '0': cat}")
    assert [name for name, _ in bitmaps(read_labels(tmp_path))] == ["cat", "dog"]


def test_settings_with_references_are_not_read(tmp_path: Path) -> None:
    """Nine levels of nine references would be 387,420,489 values."""
    yolo(tmp_path)
    levels = "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    write(tmp_path / "data.yaml", f"a: &a [x]\n{levels}\nnames: *i\n")
    content = read_labels(tmp_path)
    assert content.class_names == ("0", "1") and content.report.counts == {Fault.SETTINGS_BROKEN: 1}
    assert "(line 2: the reference *a is not followed, write out what it stands for)" in content.report.lines[0]


@pytest.mark.parametrize(
    "more",
    [
        "# see *images* of 2020 & *more",
        "nc: 2  # *two",
        "credit: 'salt &pepper, *all'",
        "credit: salt and *pepper",
        "download: |\n  def f(*args, **kwargs):\n    g(*args)",
        "credit: &us [me]",
    ],
)
def test_signs_of_references_are_none_in_comments_and_text(tmp_path: Path, more: str) -> None:
    yolo(tmp_path)
    write(tmp_path / "data.yaml", f"train: images/train\nnames: [cat, dog]\n{more}\n")
    content = read_labels(tmp_path)
    assert content.class_names == ("cat", "dog") and content.report.counts.total() == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("train: images/train\nnames: [cat, dog\n", "line 3: expected ',' or ']', but got '<stream end>' while "),
        ("names:\n\t- cat\n\t- dog\n", r"line 2: found character '\t' that cannot start any token"),
        ("names: ['caf\xe9']\n", "invalid continuation byte"),
        (r'names: ["\UFFFFFFFF"]', "too large"),
        ("names: " + "[" * 10_000, "lists within lists, too deep to be read"),
        ("names: [cat, dog]\n" + "#" * 2**20, "of at most 1048576 bytes"),
    ],
)
def test_settings_that_cannot_be_read_are_reported(tmp_path: Path, text: str, problem: str) -> None:
    """Labels are read without them, as where there are none: class names and splits may be elsewhere."""
    yolo(tmp_path)
    (tmp_path / "data.yaml").write_bytes(text.encode("latin-1"))
    content = read_labels(tmp_path)
    assert content.class_names == ("0", "1") and content.report.counts == {Fault.SETTINGS_BROKEN: 1}
    assert "data.yaml: file of classes and splits cannot be read (" in content.report.lines[0]
    assert problem in content.report.lines[0]
    assert read_labels(tmp_path / "data.yaml").report.lines[0].endswith(content.report.lines[0].split("data.yaml: ")[1])


def test_broken_settings_may_have_any_name_and_those_of_other_programs_are_none(tmp_path: Path) -> None:
    yolo(tmp_path)
    write(tmp_path / "compose.yaml", "services: [")
    assert read_labels(tmp_path).report.counts.total() == 0
    (tmp_path / "data.yaml").rename(tmp_path / "coco.yaml")
    write(tmp_path / "mine.yaml", "train: images/train\nnames: [cat, dog\n")
    content = read_labels(tmp_path)
    assert content.class_names == ("cat", "dog") and content.report.counts == {Fault.SETTINGS_BROKEN: 1}
    assert "mine.yaml: " in content.report.lines[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    yolo(tmp_path)
    for name in ("a.yaml", "data.yml", "labels/train/b.txt"):
        os.mkfifo(tmp_path / name)
    content = read_labels(tmp_path)
    assert content.class_names == ("cat", "dog") and content.report.counts == {Fault.SETTINGS_BROKEN: 1}
    assert "data.yml: " in content.report.lines[0] and "a pipe" in content.report.lines[0]


def test_of_several_settings_the_nearest_to_the_top_counts_that_names_splits(tmp_path: Path) -> None:
    yolo(tmp_path)
    write(tmp_path / "configs/coco.yaml", "train: images/train\nnames: [person, bicycle]\n")
    write(tmp_path / "attributes.yaml", "names: [colour, size]\n")
    content = read_labels(tmp_path)
    assert (content.class_names, content.splits) == (("cat", "dog"), ["train"])
    write(tmp_path / "data.yaml", "names: [cat, dog")
    (tmp_path / "attributes.yaml").unlink()
    assert read_labels(tmp_path).class_names == ("0", "1"), "those of other data are worse than none"


def test_parts_and_holes_by_bridges(read_lines: Any, bitmaps: Bitmaps) -> None:
    """Two squares joined by a line there and back enclose no more pixels; a ring within a ring is a hole."""

    def line(label: int, points: list[tuple[int, int]]) -> str:
        return " ".join([str(label), *(f"{x / 31!r} {y / 24!r}" for x, y in points)])

    parts = [(2, 2), (6, 2), (6, 6), (20, 10), (24, 10), (24, 14), (20, 14), (20, 10), (6, 6), (2, 6)]
    hole = [(8, 8), (18, 8), (18, 18), (8, 18), (8, 8), (10, 10), (10, 16), (16, 16), (16, 10), (10, 10), (8, 8)]
    (_, first), (_, second) = bitmaps(read_lines(line(0, parts), line(1, hole)))
    assert first.sum() == 16 + 16 and first[2:6, 2:6].all() and first[10:14, 20:24].all()
    assert second.sum() == 100 - 36 and not second[10:16, 10:16].any()


def test_a_line_decides_for_itself_whether_it_is_a_box(read_lines: Any) -> None:
    content = read_lines("0 0.5 0.5 0.2 0.25", "1 0.1 0.1 0.4 0.1 0.4 0.5", "2 0.1 0.1 0.4 0.1 0.4 0.5 17")
    box, polygon, tracked = content.coco["annotations"]
    assert "segmentation" not in box and np.allclose(box["bbox"], [0.4 * 31, 0.375 * 24, 0.2 * 31, 0.25 * 24])
    assert len(polygon["segmentation"][0]) == len(tracked["segmentation"][0]) == 6
    assert content.report.counts.total() == 0


@pytest.mark.parametrize("behind", ["0", "1", "2", "17", "0.87", "1.0", "0.87 2", "1 17"])
def test_a_box_may_have_a_confidence_and_a_track_behind_it(read_lines: Any, behind: str) -> None:
    content = read_lines(f"0 0.5 0.5 0.2 0.25 {behind}")
    (box,) = content.coco["annotations"]
    assert "segmentation" not in box and np.allclose(box["bbox"], [0.4 * 31, 0.375 * 24, 0.2 * 31, 0.25 * 24])
    assert content.report.counts.total() == 0


@pytest.mark.parametrize("behind", ["0", "1", "2", "0.87 2"])
def test_an_outline_may_have_a_track_behind_it(read_lines: Any, behind: str) -> None:
    content = read_lines(f"0 0.1 0.1 0.4 0.1 0.4 0.5 {behind}")
    (outline,) = content.coco["annotations"]
    assert np.allclose(outline["segmentation"], [[3.1, 2.4, 12.4, 2.4, 12.4, 12]])
    assert content.report.counts.total() == 0


@pytest.mark.parametrize("end", ["0.9 1", "0.9 0", "1 1"])
def test_what_may_be_three_points_is(read_lines: Any, end: str) -> None:
    (outline,) = read_lines(f"0 0.5 0.5 0.2 0.2 {end}").coco["annotations"]
    assert len(outline["segmentation"][0]) == 6


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("0 0.1 0.2", Fault.SHAPE_MALFORMED),
        ("zero 0.1 0.2 0.3 0.4 0.5 0.6", Fault.SHAPE_MALFORMED),
        ("0 nan 0.2 0.3 0.4 0.5 0.6", Fault.SHAPE_MALFORMED),
        ("0 1e400 0.2 0.3 0.4 0.5 0.6", Fault.SHAPE_MALFORMED),
        ("9 0.1 0.2 0.3 0.4 0.5 0.6", Fault.UNKNOWN_CATEGORY),
        ("-1 0.1 0.2 0.3 0.4 0.5 0.6", Fault.UNKNOWN_CATEGORY),
        ("0.5 0.1 0.2 0.3 0.4 0.5 0.6", Fault.UNKNOWN_CATEGORY),
        ("0 0.1 0.2 0.3 0.4 0.5 0.6 0.7", Fault.POLYGON_ODD),
        ("0 0.1 0.2 0.3 0.4 0.5 0.6 -1", Fault.POLYGON_ODD),
        ("0 0.1 0.2 0.3 0.4 1.5", Fault.POLYGON_ODD),
    ],
)
def test_a_bad_line_is_reported_with_its_number(read_lines: Any, line: str, rule: Fault) -> None:
    content = read_lines("1 0.1 0.1 0.4 0.1 0.4 0.5", line)
    assert content.report.counts == {rule: 1} and len(content.coco["annotations"]) == 1
    assert "labels/train/a.txt: line 2: " in content.report.lines[0]


def test_coordinates_outside_are_cut_and_the_image_stays(read_lines: Any) -> None:
    content = read_lines("0 -0.5 0.5 1.5 0.5 1.5 1.0", "0 -0.0001 0.5 1.0001 0.5 1.0 1.0")
    assert content.report.counts == {Fault.COORDINATES_OUTSIDE: 1}
    assert content.coco["annotations"][0]["segmentation"] == [[0.0, 12.0, 31.0, 12.0, 31.0, 24.0]]


def test_images_without_labels_are_background(tmp_path: Path) -> None:
    yolo(tmp_path)
    picture(tmp_path / "images/train/b.png")
    picture(tmp_path / "images/train/c.png")
    write(tmp_path / "labels/train/c.txt", "")
    content = read_labels(tmp_path)
    assert [image["file_name"][-5:] for image in content.coco["images"]] == ["a.png", "b.png", "c.png"]
    assert {entry["image_id"] for entry in content.coco["annotations"]} == {1}


@pytest.mark.parametrize("empty", ["", "\n \n"])
def test_labels_are_recognised_behind_many_of_background(tmp_path: Path, empty: str) -> None:
    yolo(tmp_path)
    (tmp_path / "data.yaml").unlink()
    write(tmp_path / "labels/train/a.txt", "\n" + (tmp_path / "labels/train/a.txt").read_text())
    for number in range(60):
        write(tmp_path / f"captions/{number}.txt", "a cat and a dog")
        write(tmp_path / f"labels/background/{number}.txt", empty)
    content = read_labels(tmp_path)
    assert content.form == "yolo" and len(content.coco["annotations"]) == 2


@pytest.mark.parametrize(("image", "labels"), [("A.png", "a.txt"), ("a.PNG", "A.TXT"), ("e\u0301.png", "\u00e9.txt")])
def test_labels_are_found_by_their_letters(tmp_path: Path, image: str, labels: str) -> None:
    """As systems find them that tell no capitals apart: images of lost labels would become background, unnoticed."""
    yolo(tmp_path)
    (tmp_path / "images/train/a.png").rename(tmp_path / "images/train" / image)
    (tmp_path / "labels/train/a.txt").rename(tmp_path / "labels/train" / labels)
    content = read_labels(tmp_path)
    assert len(content.coco["annotations"]) == 2 and content.report.counts.total() == 0


def test_labels_of_another_image_are_not_those_of_one_without(tmp_path: Path) -> None:
    yolo(tmp_path)
    picture(tmp_path / "images/train/A.png")
    content = read_labels(tmp_path)
    (labelled,) = {entry["image_id"] for entry in content.coco["annotations"]}
    assert content.coco["images"][labelled - 1]["file_name"] == "images/train/a.png"


@pytest.mark.parametrize(("images", "labels"), [("Images", "Labels"), ("IMAGES", "labels"), ("data", "data")])
def test_folders_in_capitals_and_labels_beside_their_images(tmp_path: Path, images: str, labels: str) -> None:
    yolo(tmp_path)
    (tmp_path / "data.yaml").write_text("names: [cat, dog]\n")
    for before, after in (("images", images), ("labels", labels)):
        (tmp_path / after).mkdir(exist_ok=True)
        for file in (tmp_path / before / "train").iterdir():
            file.rename(tmp_path / after / file.name)
    content = read_labels(tmp_path)
    assert len(content.coco["annotations"]) == 2 and content.report.counts.total() == 0


def test_two_images_that_share_their_labels_are_reported(tmp_path: Path) -> None:
    """YOLO's labels are found by the name without its ending."""
    yolo(tmp_path)
    picture(tmp_path / "images/train/a.jpg")
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.LABEL_FILE_SHARED: 1} and len(content.coco["annotations"]) == 4
    assert "images/train/a.png: " in content.report.lines[0] and "labels/train/a.txt" in content.report.lines[0]


def test_labels_without_an_image_are_reported(tmp_path: Path) -> None:
    yolo(tmp_path)
    write(tmp_path / "labels/train/b.txt", "0 0.1 0.1 0.4 0.1 0.4 0.5")
    write(tmp_path / "notes.txt", "no labels")
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.LABEL_FILE_ALONE: 1} and "labels/train/b.txt: " in content.report.lines[0]


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/train/a.jpg", "labels/train/a.txt"),
        ("train/images/a.b.png", "train/labels/a.b.txt"),
        ("images/x/images/a.png", "images/x/labels/a.txt"),
        ("Images/a.png", "labels/a.txt"),
        ("a.png", "a.txt"),
    ],
)
def test_the_last_folder_of_images_becomes_labels(image: str, labels: str) -> None:
    assert label_file(image) == labels


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ("[no, 10, 1]", ["no", "10", "1"]),
        ("[off, 1.50, 0x10]", ["off", "1.50", "0x10"]),
        ("{0: yes, 1: 2007-01-01, 2: null}", ["yes", "2007-01-01", "null"]),
    ],
)
def test_names_are_text_whatever_yaml_sees_in_them(
    read_lines: Any, tmp_path: Path, names: str, classes: list[str]
) -> None:
    read_lines("0 0.1 0.1 0.4 0.1 0.4 0.5")
    write(tmp_path / "data.yaml", f"train: images/train\nnames: {names}\n")
    content = read_labels(tmp_path)
    assert list(content.class_names) == classes and content.report.counts.total() == 0


@pytest.mark.parametrize("name", ["''", r'"a\tb"', "[a, b]"])
def test_a_class_without_a_printable_name_is_reported(tmp_path: Path, name: str) -> None:
    yolo(tmp_path)
    write(tmp_path / "data.yaml", f"train: images/train\nnames: [cat, {name}]\n")
    content = read_labels(tmp_path)
    assert list(content.class_names) == ["cat", "1"]
    assert content.report.counts == {Fault.CLASS_NUMBERED: 1} and "data.yaml: class 1: " in content.report.lines[0]


@pytest.mark.parametrize("nothing", ["", "null", "~", "[]"])
def test_a_split_may_be_named_without_a_place(tmp_path: Path, nothing: str) -> None:
    yolo(tmp_path)
    write(tmp_path / "data.yaml", f"train: images/train\nval: {nothing}\nnames: [cat, dog]\n")
    content = read_labels(tmp_path)
    assert content.splits == ["train"] and content.report.counts.total() == 0


def test_a_split_that_is_not_where_it_is_said_to_be_is_reported(tmp_path: Path) -> None:
    yolo(tmp_path)
    picture(tmp_path / "images/validation/b.png")
    write(tmp_path / "data.yaml", "train: images/train\nval: images/valid\nnames: [cat, dog]\n")
    content = read_labels(tmp_path)
    assert content.report.counts == {Fault.SPLIT_WITHOUT_IMAGES: 1}
    assert "data.yaml: val: " in content.report.lines[0] and "images/valid" in content.report.lines[0]


@pytest.mark.parametrize("others", [0, 1])
def test_a_test_split_may_be_missing_unless_images_are_left_over(tmp_path: Path, others: int) -> None:
    """Roboflow's data.yaml names one, there or not."""
    yolo(tmp_path)
    for number in range(others):
        picture(tmp_path / f"images/testing/{number}.png")
    write(tmp_path / "data.yaml", "train: images/train\ntest: ../images/test\nnames: [cat, dog]\n")
    expected = {Fault.SPLIT_WITHOUT_IMAGES: 1} if others else {}
    assert read_labels(tmp_path).report.counts == expected


def test_images_of_two_splits_are_reported(tmp_path: Path) -> None:
    yolo(tmp_path)
    for name in ("b", "c"):
        picture(tmp_path / f"images/train/{name}.png")
    write(tmp_path / "train.txt", "images/train/a.png\nimages/train/b.png\n")
    write(tmp_path / "val.txt", "images/train/a.png\nimages/train/b.png\nimages/train/c.png\n")
    write(tmp_path / "data.yaml", "train: train.txt\nval: val.txt\nnames: [cat, dog]\n")
    content = read_labels(tmp_path)
    assert [image["split"] for image in content.coco["images"]] == ["train", "train", "val"]
    assert content.report.counts == {Fault.IMAGES_OF_TWO_SPLITS: 1}
    assert "data.yaml: " in content.report.lines[0] and "(2 images of train and val)" in content.report.lines[0]


@pytest.mark.parametrize("place", ["images/train", "/elsewhere/images/train", "../images/train"])
def test_splits_that_are_the_same_are_one_and_a_fault_where_images_are_left_over(tmp_path: Path, place: str) -> None:
    """As in coco128.yaml."""
    yolo(tmp_path)
    picture(tmp_path / "images/train/b.png")
    write(tmp_path / "data.yaml", f"train: {place}\nval: {place}\nnames: [cat, dog]\n")
    content = read_labels(tmp_path)
    assert content.splits == ["train"] and len(content.coco["images"]) == 2 and not content.report.counts
    picture(tmp_path / "images/val/c.png")
    content = read_labels(tmp_path)
    assert content.splits == ["train"] and content.report.counts == {Fault.IMAGES_OF_TWO_SPLITS: 1}
    assert "(2 images of train and val)" in content.report.lines[0]


def test_a_stand_in_is_the_split_that_its_folder_is_named_after(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "images/train").rename(tmp_path / "images/valid")
    (tmp_path / "labels/train").rename(tmp_path / "labels/valid")
    write(tmp_path / "data.yaml", "train: images/valid\nval: images/valid\nnames: [cat, dog]\n")
    content = read_labels(tmp_path)
    assert content.splits == ["val"] and len(content.coco["annotations"]) > 0 and not content.report.counts


@pytest.mark.parametrize(("train", "missing"), [("../train/images", ["train", "val", "test"]), ("images", ["val"])])
def test_one_folder_is_not_taken_for_several_that_are_missing(tmp_path: Path, train: str, missing: list[str]) -> None:
    yolo(tmp_path)
    picture(tmp_path / "images/b.png")
    places = f"train: {train}\nval: ../valid/images\ntest: ../test/images\n"
    write(tmp_path / "data.yaml", f"{places}names: [cat, dog]\n")
    content = read_labels(tmp_path)
    fault = Fault.SPLITS_WITHOUT_IMAGES if len(missing) == 3 else Fault.SPLIT_WITHOUT_IMAGES
    assert len(content.coco["images"]) == 2 and content.report.counts == {fault: len(missing)}
    assert all(f"data.yaml: {split}: " in line for split, line in zip(missing, content.report.lines, strict=True))


def test_a_caption_beside_an_image_is_no_label(tmp_path: Path) -> None:
    yolo(tmp_path)
    picture(tmp_path / "images/train/b.png")
    write(tmp_path / "images/train/b.txt", "a cat on a mat\n")
    content = read_labels(tmp_path)
    assert len(content.coco["images"]) == 2 and content.report.counts.total() == 0
    write(tmp_path / "images/train/b.txt", "0 0.5 0.5 0.2 0.2\n")
    assert len(read_labels(tmp_path).coco["annotations"]) == 3


@pytest.fixture
def read_pose(tmp_path: Path) -> Callable[..., LabelContent]:
    """Labels with keypoints of a 31 x 24 image with one class."""

    def read(settings: str, *lines: str) -> LabelContent:
        yolo(tmp_path)
        write(tmp_path / "labels/train/a.txt", "\n".join(lines))
        write(tmp_path / "data.yaml", f"train: images/train\nnames: [cat]\n{settings}\n")
        return read_labels(tmp_path)

    return read


@pytest.mark.parametrize(
    ("shape", "keypoints"),
    [("[2, 3]", "0.5 0.25 2 0 0 0"), ("[2, 2]", "0.5 0.25 0 0"), ("[2, 2]", "0.5 0.25 -1 -1")],
)
def test_keypoints_follow_the_box(read_pose: Any, shape: str, keypoints: str) -> None:
    """COCO counts keypoints by pixels: half a pixel less than the place."""
    content = read_pose(f"kpt_shape: {shape}", f"0 0.5 0.5 0.2 0.25 {keypoints}", "0 0.5 0.5 0.4 0.25")
    first, second = content.coco["annotations"]
    assert "segmentation" not in first and np.allclose(first["bbox"], [0.4 * 31, 0.375 * 24, 0.2 * 31, 0.25 * 24])
    assert first["keypoints"] == [15, 5.5, 2, 0, 0, 0] and first["num_keypoints"] == 1 and "keypoints" not in second
    assert content.coco["categories"][0]["keypoints"] == ["k1", "k2"] and content.report.counts.total() == 0
    labels = read_coco(content.coco, need_masks=False).labels
    assert labels.keypoints_of(0).tolist() == [[15.5, 6, 2], [0, 0, 0]]  # type: ignore[union-attr]


def test_keypoints_that_a_mirror_exchanges_are_known_by_their_names(read_pose: Any) -> None:
    content = read_pose("kpt_shape: [3, 2]\nflip_idx: [0, 2, 1]", "0 0.5 0.5 0.2 0.2 0.5 0.5 0.4 0.4 0.6 0.4")
    schema = KeypointSchema.from_coco(content.coco["categories"][0])
    assert schema is not None and schema.names[0] == "k1" and schema.mirrored == (0, 2, 1)


@pytest.mark.parametrize("shape", ["[4, 5]", "[0, 3]", "4", "[a, b]", "[99999, 3]", "", "null", "Null", "~"])
def test_without_a_known_number_of_keypoints_lines_are_outlines_and_boxes(read_pose: Any, shape: str) -> None:
    content = read_pose(f"kpt_shape: {shape}", "0 0.5 0.5 0.7 0.25 0.5 0.9", "0 0.5 0.5 0.2 0.25")
    outline, box = content.coco["annotations"]
    assert len(outline["segmentation"][0]) == 6 and "segmentation" not in box and "keypoints" not in box
    is_malformed = shape.strip("~").lower() not in ("", "null")
    assert content.report.counts == ({Fault.KEYPOINT_SHAPE: 1} if is_malformed else {})


@pytest.mark.parametrize("behind", ["0", "1", "17", "0.87", "0.87 1", "1 17"])
@pytest.mark.parametrize("keypoints", ["0.5 0.25 2 0 0 0", ""])
def test_keypoints_may_have_a_confidence_and_a_track_behind_them(read_pose: Any, keypoints: str, behind: str) -> None:
    content = read_pose("kpt_shape: [2, 3]", f"0 0.5 0.5 0.2 0.25 {keypoints} {behind}")
    (entry,) = content.coco["annotations"]
    assert np.allclose(entry["bbox"], [0.4 * 31, 0.375 * 24, 0.2 * 31, 0.25 * 24])
    assert entry.get("keypoints") == ([15, 5.5, 2, 0, 0, 0] if keypoints else None)
    assert content.report.counts.total() == 0


@pytest.mark.parametrize("numbers", ["0.5 0.5 0.6 0.6", "0.5 0.5 2 0 0 0 0.6 0.6", "0.5 0.5 2 0 0 0 1.5", "0.5 0.6"])
def test_a_line_of_other_keypoints_is_reported(read_pose: Any, numbers: str) -> None:
    content = read_pose("kpt_shape: [2, 3]", f"0 0.5 0.5 0.2 0.25 {numbers}")
    assert content.report.counts == {Fault.SHAPE_MALFORMED: 1} and content.coco["annotations"] == []
