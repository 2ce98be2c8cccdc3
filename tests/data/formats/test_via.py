"""VIA's files of both versions, and its CSV."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.formats.scenes import picture, write

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels
from maskrcnn.data.report import Fault

ReadForm = Callable[[Path, str], LabelContent]


@pytest.fixture
def read_regions(tmp_path: Path) -> Callable[..., LabelContent]:
    """Regions, each (shape, attributes), of one 31 x 24 image."""

    def read(*regions: tuple[Any, Any]) -> LabelContent:
        picture(tmp_path / "a.png")
        listed = [{"shape_attributes": shape, "region_attributes": attributes} for shape, attributes in regions]
        write(tmp_path / "via.json", {"a.png9": {"filename": "a.png", "regions": listed}})
        return read_labels(tmp_path)

    return read


def test_real_polygons(shared: Path, read_form: ReadForm, found: Any, tmp_path: Path) -> None:
    """Of 16 images four are there. Regions counted in the file, area by pycocotools from its points."""
    for name in ("via_region_data.json", "27.jpg", "29.jpg", "34.jpg", "37.jpg"):
        shutil.copy(shared / "data/formats/via/kudzu" / name, tmp_path)
    content = read_form(tmp_path, "via")
    assert len(content.coco["images"]) == 16
    kept = {image["id"] for image in content.coco["images"] if "height" in image}
    content.coco["images"] = [image for image in content.coco["images"] if image["id"] in kept]
    content.coco["annotations"] = [entry for entry in content.coco["annotations"] if entry["image_id"] in kept]
    result = found(content)
    assert (result.objects, result.ignored, result.area) == ({"object": 54}, 0, 171499)


@pytest.mark.parametrize("name", ["unit_test_annotation2.json", "unit_test_annotation1.csv"])
def test_version_one_as_json_and_as_csv(shared: Path, read_form: ReadForm, name: str) -> None:
    """Every shape, counted in the file: 3 ellipses, 2 rectangles, a circle and a polygon, and 5 points."""
    content = read_form(shared / "data/formats/via/via1" / name, "via")
    assert len(content.coco["images"]) == 3 and len(content.coco["annotations"]) == 7
    assert content.report.counts == {Fault.SHAPE_WITHOUT_AREA: 5, Fault.CLASS_MISSING: 2}
    rectangles = [entry["bbox"] for entry in content.coco["annotations"] if len(entry["segmentation"][0]) == 8]
    assert sorted(rectangles) == [[79, 310, 66, 62], [290, 208, 127, 113]]


def test_both_versions_say_the_same(shared: Path) -> None:
    folder = shared / "data/formats/via/via1"
    contents = [read_labels(folder / f"unit_test_annotation{end}") for end in ("2.json", "1.csv")]
    assert contents[0].coco == contents[1].coco


def test_a_circle_and_a_turned_ellipse(read_regions: Any, found: Any) -> None:
    circle = {"name": "circle", "cx": 10, "cy": 10, "r": 8}
    ellipse = {"name": "ellipse", "cx": 20, "cy": 12, "rx": 3, "ry": 9, "theta": math.pi / 2}
    content = read_regions((circle, {}), (ellipse, {}))
    first, second = content.coco["annotations"]
    assert np.allclose(first["bbox"], [2, 2, 16, 16], atol=0.05)
    assert np.allclose(second["bbox"], [11, 9, 18, 6], atol=0.05)
    assert (
        abs(found(content).area - math.pi * (64 + 27)) < 12
    )  # COCO's rasteriser takes a tenth of a pixel more along the outline


POLYGON = {"name": "polygon", "all_points_x": [2, 9, 9], "all_points_y": [2, 2, 9]}


@pytest.mark.parametrize(
    ("attributes", "classes"),
    [
        ([{"kind": "cat"}, {"kind": "dog"}], ["cat", "dog"]),
        ([{"kind": {"cat": True, "dog": False}}, {"kind": {"cat": True, "dog": True}}], ["cat", "object"]),
        ([{}, {}], ["object", "object"]),
        ([{"note": "x", "kind": "cat"}, {"note": "", "kind": "dog"}], ["cat", "dog"]),
        ([{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], ["1", "3"]),
        ([None, {"kind": "dog"}], ["object", "dog"]),
    ],
)
def test_the_class_is_the_attribute_that_most_regions_have(
    read_regions: Any, attributes: list[Any], classes: list[str]
) -> None:
    content = read_regions(*((POLYGON, entry) for entry in attributes))
    coco, unnamed = content.coco, classes.count("object")
    assert content.report.counts.total() == (unnamed if unnamed < len(classes) else 0), "some have a class, others none"
    names = {entry["id"]: entry["name"] for entry in coco["categories"]}
    assert [names[entry["category_id"]] for entry in coco["annotations"]] == classes


@pytest.mark.parametrize(
    ("shape", "rule"),
    [
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, Fault.SHAPE_MALFORMED),
        ({"name": "polygon"}, Fault.SHAPE_MALFORMED),
        ({"name": "rect", "x": "1", "y": 2, "width": 3, "height": 4}, Fault.SHAPE_MALFORMED),
        ({"name": "circle", "cx": 1, "cy": 2}, Fault.SHAPE_MALFORMED),
        ({"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}, Fault.SHAPE_WITHOUT_AREA),
        ({"name": ["polygon"]}, Fault.SHAPE_UNKNOWN),
        (None, Fault.SHAPE_UNKNOWN),
    ],
)
def test_a_bad_region_is_reported(read_regions: Any, shape: Any, rule: Fault) -> None:
    content = read_regions((POLYGON, {}), (shape, {}))
    assert content.report.counts == {rule: 1} and len(content.coco["annotations"]) == 1
    assert "via.json: 'a.png': region 1: " in content.report.lines[0]


def test_json_that_is_not_vias_is_left_out(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    write(tmp_path / "via.json", {"a": {"filename": "a.png", "regions": []}})
    write(tmp_path / "z.json", json.dumps({"some": {"thing": 1}}))
    assert read_labels(tmp_path).report.counts == {Fault.LABEL_FILE_OTHER: 1}
