"""LabelMe's files: real ones, every shape, groups, and names of images from other machines."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.formats.scenes import labelme, picture, png_text

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.report import Fault
from maskrcnn.structures.masks import ByteArray

ReadForm = Callable[[Path, str], LabelContent]
Bitmaps = Callable[[LabelContent], list[tuple[str, ByteArray]]]


@pytest.fixture
def read_shapes(tmp_path: Path, read_form: ReadForm) -> Callable[..., LabelContent]:
    """A LabelMe file with these shapes for a 40 x 30 image."""

    def read(*shapes: Any, **more: Any) -> LabelContent:
        picture(tmp_path / "x/a.png")
        content = {"shapes": list(shapes), "imagePath": "a.png", "imageHeight": 30, "imageWidth": 40, **more}
        (tmp_path / "x/a.json").write_text(json.dumps(content))
        return read_form(tmp_path / "x", "labelme")

    return read


# Objects by class and ignored regions: counted by hand in the files. Areas: pycocotools from the files' polygons.
@pytest.mark.parametrize(
    ("stem", "objects", "ignored", "area"),
    [
        ("2011_000003", {"bottle": 1, "person": 2}, 1, 33229),
        ("2011_000006", {"chair": 1, "person": 4, "sofa": 1}, 1, 92829),
        ("2011_000025", {"bus": 2, "car": 1}, 0, 125116),
    ],
)
def test_real_files(
    shared: Path, read_form: ReadForm, found: Any, stem: str, objects: dict[str, int], ignored: int, area: int
) -> None:
    result = found(read_form(shared / f"data/formats/labelme/{stem}.json", "labelme"))
    assert (result.objects, result.ignored, result.area) == (objects, ignored, area)


def test_a_file_of_version_four(shared: Path, read_form: ReadForm, found: Any) -> None:
    """From a repository under MIT; area by pycocotools from its polygons."""
    result = found(read_form(shared / "data/formats/labelme/mit", "labelme"))
    assert (result.objects, result.ignored, result.area) == ({"bus": 2, "car": 1}, 0, 125116)


def test_a_folder_of_real_files(shared: Path, read_form: ReadForm, found: Any, tmp_path: Path) -> None:
    for name in ("2011_000003", "2011_000006", "2011_000025"):
        for ending in ("json", "jpg"):
            shutil.copy(shared / f"data/formats/labelme/{name}.{ending}", tmp_path)
    result = found(read_form(tmp_path, "labelme"))
    assert result.objects == {"bottle": 1, "bus": 2, "car": 1, "chair": 1, "person": 6, "sofa": 1}
    assert (result.ignored, result.area) == (2, 33229 + 92829 + 125116)


def test_every_shape_of_the_tool(shared: Path, read_form: ReadForm, bitmaps: Bitmaps) -> None:
    """Area of the mask: pixels of its PNG that are not zero, by Pillow and NumPy; of the polygon: pycocotools."""
    content = read_form(shared / "data/formats/labelme/primitives", "labelme")
    areas: dict[str, list[int]] = {}
    for name, mask in bitmaps(content):
        areas.setdefault(name, []).append(int(mask.sum()))
    assert areas["octagon"] == [7275] and areas["polygon"] == [10997]
    assert areas["rectangle"] == [100 * 100, 151 * 102]
    (circle,) = areas["circle"]
    assert abs(circle / (math.pi * (30**2 + 41**2)) - 1) < 0.01
    assert content.report.counts == {Fault.SHAPE_WITHOUT_AREA: 3}  # line, point, linestrip


def test_the_picture_inside_the_file(shared: Path, read_form: ReadForm, tmp_path: Path) -> None:
    """Its own name is the only image name in it; found beside it, it is read, else the line says what to do."""
    source = shared / "data/formats/labelme/imagedata/apc2016_obj3.json"
    shutil.copy(source, tmp_path / "apc2016_obj3.json")
    content = read_form(tmp_path, "labelme")
    assert content.coco["images"] == [] and content.report.counts == {Fault.PICTURE_EMBEDDED: 1}
    picture(tmp_path / "apc2016_obj3.jpg")
    content = read_form(tmp_path, "labelme")
    assert content.coco["images"][0]["file_name"] == "apc2016_obj3.jpg" and len(content.coco["annotations"]) == 4


def test_shapes_of_one_label_and_group_are_one_object(read_shapes: Any, bitmaps: Bitmaps) -> None:
    """Two squares of 4 x 4 and a bitmap that covers half of one: 16 + 16 + 8 pixels."""
    square = {"label": "a", "group_id": 3, "points": [[2, 2], [6, 2], [6, 6], [2, 6]]}  # no shape_type: version 3
    other = {**square, "points": [[12, 2], [16, 2], [16, 6], [12, 6]], "shape_type": "polygon"}
    bitmap = {**square, "shape_type": "mask", "points": [[4, 2], [7, 5]], "mask": png_text(np.ones((4, 4), np.uint8))}
    content = read_shapes(square, other, bitmap, {**square, "label": "b"}, {**square, "group_id": None})
    objects = bitmaps(content)
    assert [(name, int(mask.sum())) for name, mask in objects] == [("a", 40), ("b", 16), ("a", 16)]


@pytest.mark.parametrize("points", [[[2, 3], [7, 9]], [[7, 9], [2, 3]], [[7, 3], [2, 9]]])
def test_a_rectangle_has_any_two_opposite_corners(read_shapes: Any, bitmaps: Bitmaps, points: list[list[int]]) -> None:
    ((_, mask),) = bitmaps(read_shapes({"label": "a", "points": points, "shape_type": "rectangle"}))
    assert mask[3:9, 2:7].all() and mask.sum() == 30


def test_a_bitmap_at_the_edge_is_cut(read_shapes: Any, bitmaps: Bitmaps) -> None:
    """Its last point is its last pixel; 5 x 5 pixels of which 3 x 2 lie inside."""
    text = png_text(np.ones((5, 5), np.uint8))
    shape = {"label": "a", "shape_type": "mask", "mask": text}
    content = read_shapes({**shape, "points": [[37, 28], [41, 32]]}, {**shape, "points": [[90, 90], [94, 94]]})
    ((_, mask),) = bitmaps(content)
    assert mask[28:, 37:].all() and mask.sum() == 6
    assert content.report.counts == {Fault.SHAPE_OUTSIDE: 1}


@pytest.mark.parametrize(
    "stated", ["a.png", "C:\\Users\\me\\photos\\a.png", "/home/me/a.png", "../x/a.png", "b.jpg", "../../../etc/passwd"]
)
def test_the_image_is_found_by_the_end_of_its_name_or_by_that_of_the_file(read_shapes: Any, stated: str) -> None:
    content = read_shapes(imagePath=stated)
    assert [image["file_name"] for image in content.coco["images"]] == ["a.png"]


@pytest.mark.parametrize(
    ("shape", "rule"),
    [
        ("no object", Fault.SHAPE_MALFORMED),
        ({"label": "a", "shape_type": "polygon", "points": [[1, "2"]]}, Fault.SHAPE_MALFORMED),
        ({"label": "a", "shape_type": "rectangle", "points": [[1, 2], [3, 4], [5, 6]]}, Fault.SHAPE_MALFORMED),
        ({"label": "a", "shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": "no base64!"}, Fault.SHAPE_MALFORMED),
        ({"label": "a", "shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": "AAAA"}, Fault.SHAPE_MALFORMED),
        ({"label": "a", "shape_type": "spline", "points": [[1, 2], [3, 4], [5, 5]]}, Fault.SHAPE_UNKNOWN),
        ({"label": "a", "shape_type": "line", "points": [[1, 2], [3, 4]]}, Fault.SHAPE_WITHOUT_AREA),
        ({"label": "\x1b[2J", "shape_type": "rectangle", "points": [[1, 2], [3, 4]]}, Fault.CLASS_NAME),
        ({"label": None, "shape_type": "rectangle", "points": [[1, 2], [3, 4]]}, Fault.CLASS_NAME),
    ],
)
def test_a_bad_shape_is_reported_with_its_file_and_number(read_shapes: Any, shape: Any, rule: Fault) -> None:
    content = read_shapes({"label": "a", "points": [[2, 2], [6, 2], [6, 6]]}, shape)
    assert content.report.counts == {rule: 1} and len(content.coco["annotations"]) == 1
    assert "a.json: shape 1: " in content.report.lines[0] and content.report.lines[0].isprintable()


def test_a_background_shape_is_nothing(read_shapes: Any) -> None:
    content = read_shapes({"label": "_background_", "points": [[2, 2], [6, 2], [6, 6]]})
    assert content.coco["annotations"] == [] and len(content.coco["images"]) == 1


def test_a_scene_of_polygon_and_bitmap_states_its_size(tmp_path: Path, read_form: ReadForm) -> None:
    labelme(tmp_path)
    (image,) = read_form(tmp_path, "labelme").coco["images"]
    assert (image["height"], image["width"]) == (24, 31)
