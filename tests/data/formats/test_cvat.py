"""CVAT's XML: real exports, its bitmaps, groups, turned shapes and tracks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.formats.scenes import HEIGHT, WIDTH, picture, write

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels, recognise
from maskrcnn.data.report import Fault
from maskrcnn.structures.masks import ByteArray

ReadForm = Callable[[Path, str], LabelContent]
Bitmaps = Callable[[LabelContent], list[tuple[str, ByteArray]]]


@pytest.fixture
def read_shapes(tmp_path: Path) -> Callable[..., LabelContent]:
    """Shapes of one 31 x 24 image."""

    def read(*shapes: str) -> LabelContent:
        picture(tmp_path / "a.png")
        image = f'<image id="0" name="a.png" width="{WIDTH}" height="{HEIGHT}">{"".join(shapes)}</image>'
        write(tmp_path / "annotations.xml", f"<annotations>{image}</annotations>")
        return read_labels(tmp_path)

    return read


def test_a_real_job(shared: Path, read_form: ReadForm, found: Any) -> None:
    """One polygon in five images of 36 megapixels; area by pycocotools. Names hold an ampersand."""
    content = read_form(shared / "data/formats/cvat/coral", "cvat")
    assert [image["width"] for image in content.coco["images"]] == [7360] * 5
    assert "& CCA" in content.coco["images"][1]["file_name"] and len(content.coco["categories"]) == 11
    result = found(content)
    assert (result.objects, result.ignored, result.area) == ({"recruit_live_white": 1}, 0, 33562)


def test_the_mask_of_the_documentation(shared: Path, read_form: ReadForm, bitmaps: Bitmaps) -> None:
    """29 runs of which every second is mask: 149 pixels of 13 x 15, its first row at columns 3 to 7, by the runs."""
    content = read_form(shared / "data/formats/cvat/doc_example", "cvat")
    ((name, mask),) = bitmaps(content)
    assert name == "car" and mask.sum() == 149
    assert np.flatnonzero(mask[888]).tolist() == list(range(710, 715))
    assert mask[888 : 888 + 15, 707 : 707 + 13].sum() == 149
    boxes = [entry["bbox"] for entry in content.coco["annotations"] if "segmentation" not in entry]
    assert np.allclose(boxes, [[797.33, 870.92, 168.19, 58.02]])
    assert content.report.counts == {Fault.SHAPE_WITHOUT_AREA: 1}  # the polyline


def test_a_task_whose_shapes_have_no_label(shared: Path, read_form: ReadForm) -> None:
    content = read_form(shared / "data/formats/cvat/for_images/export_task", "cvat")
    assert len(content.coco["images"]) == 2 and [entry["bbox"] for entry in content.coco["annotations"]] == [
        [0, 2, 4, 2]
    ]
    assert content.report.counts == {Fault.SHAPE_WITHOUT_AREA: 2, Fault.CLASS_NAME: 1}


def test_a_project_with_subsets(shared: Path, read_form: ReadForm) -> None:
    content = read_form(shared / "data/formats/cvat/for_images/export_project", "cvat")
    assert content.splits == ["train", "val", "test"]
    assert sorted(image["file_name"] for image in content.split("train").coco["images"]) == [
        "images/Train/img0.jpg",
        "images/Train/img1.jpg",
    ]


@pytest.mark.parametrize(
    ("name", "box", "faults"),
    [
        ("train.xml", [0, 2, 4, 2], {Fault.SHAPE_WITHOUT_AREA: 4, Fault.CLASS_NAME: 1}),
        ("video.xml", [3, 4, 7, 1], {Fault.SHAPE_WITHOUT_AREA: 7, Fault.BETWEEN_KEYFRAMES: 1}),
    ],
)
def test_skeletons_are_named(
    shared: Path, read_form: ReadForm, found: Any, name: str, box: list[float], faults: dict[Fault, int]
) -> None:
    """Counted in the files of CVAT's fork of Datumaro: one box each, an ignored region of 8 and of 7 pixels."""
    content = read_form(shared / "data/formats/cvat/cvat_fork" / name, "cvat")
    assert [entry["bbox"] for entry in content.coco["annotations"]] == [box] and content.report.counts == faults
    result = found(content)
    assert (result.objects, result.ignored, result.area) == ({}, 1, 0)


def test_keyframes_of_a_video(shared: Path, read_form: ReadForm) -> None:
    """Of its boxes one is in view; what lies between keyframes is said to be left out."""
    content = read_form(shared / "data/formats/cvat/for_video", "cvat")
    assert [image["file_name"] for image in content.coco["images"]] == [
        "images/frame_000010.png",
        "images/frame_000013.png",
    ] or content.coco["images"]
    assert [entry["bbox"] for entry in content.coco["annotations"]] == [[3, 4, 7, 1]]
    assert content.report.counts[Fault.BETWEEN_KEYFRAMES] == 1


def test_runs_go_along_the_rows_of_the_box(read_shapes: Any, bitmaps: Bitmaps) -> None:
    """2 x 3 pixels, two of them before the image: runs 1, 2, 1, 2 are the pixels 1, 2, 4, 5 of rows of two."""
    ((_, mask),) = bitmaps(read_shapes('<mask label="a" rle="1, 2, 1, 2" left="4" top="5" width="2" height="3"/>'))
    expected = np.zeros((24, 31), bool)
    expected[5, 5] = expected[6, 4] = expected[7, 4] = expected[7, 5] = True
    assert np.array_equal(mask, expected)


def test_a_group_of_one_label_is_one_object(read_shapes: Any, bitmaps: Bitmaps) -> None:
    square = '<polygon label="{}" group_id="{}" points="{x},2;{y},2;{y},6;{x},6"/>'
    shapes = [
        square.format("a", 1, x=2, y=6),
        square.format("a", 1, x=12, y=16),
        square.format("b", 1, x=2, y=6),
        square.format("a", 0, x=2, y=6),
        square.format("a", 0, x=2, y=6),
    ]
    objects = bitmaps(read_shapes(*shapes))
    assert [(name, int(mask.sum())) for name, mask in objects] == [("a", 32), ("b", 16), ("a", 16), ("a", 16)]


def test_a_turned_box_is_a_polygon_and_an_ellipse_is_one(read_shapes: Any) -> None:
    """A box of 10 x 4 about (15, 12), turned by a quarter, is one of 4 x 10 there."""
    box = '<box label="a" xtl="10" ytl="10" xbr="20" ybr="14" rotation="{}"/>'
    ellipse = '<ellipse label="a" cx="15" cy="12" rx="8" ry="4"/>'
    turned, straight, round_ = read_shapes(box.format(90), box.format(0), ellipse).coco["annotations"]
    assert np.allclose(turned["bbox"], [13, 7, 4, 10]) and len(turned["segmentation"][0]) == 8
    assert straight["bbox"] == [10, 10, 10, 4] and "segmentation" not in straight
    assert np.allclose(round_["bbox"], [7, 8, 16, 8], atol=0.05)


@pytest.mark.parametrize(
    "shape",
    [
        '<polygon label="a" points="1,2;3"/>',
        '<polygon label="a" points="1,2;3,x;5,5"/>',
        '<polygon label="a"/>',
        '<box label="a" xtl="1" ytl="2" xbr="3"/>',
        '<ellipse label="a" cx="1" cy="inf" rx="3" ry="1"/>',
        '<mask label="a" rle="1, 2, 3" left="4" top="5" width="2" height="4"/>',
        '<mask label="a" rle="99999999999999999999" left="4" top="5" width="2" height="4"/>',
        '<mask label="a" rle="8" left="4" top="5" width="100000" height="100000"/>',
        '<mask label="a" rle="0, 8" left="99" top="5" width="2" height="4"/>',
        '<mask label="a" left="4" top="5" width="2" height="4"/>',
    ],
)
def test_a_bad_shape_is_reported(read_shapes: Any, shape: str) -> None:
    content = read_shapes(shape, '<polygon label="a" points="2,2;6,2;6,6"/>')
    assert content.report.counts == {Fault.SHAPE_MALFORMED: 1} and len(content.coco["annotations"]) == 1
    assert "annotations.xml: image 'a.png': " in content.report.lines[0]


def test_other_xml_is_no_label_file(tmp_path: Path) -> None:
    write(tmp_path / "x.xml", "<annotations><version>1.1</version></annotations>")
    with pytest.raises(Exception, match="known form"):
        recognise(tmp_path)
