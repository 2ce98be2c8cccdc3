"""Supervisely. No sample could be had: the files follow the documented form, holes and packed bitmaps included."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.formats.scenes import pairs, picture, png_text, supervisely, write

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels
from maskrcnn.data.report import Fault

SQUARE = [[4, 4], [14, 4], [14, 14], [4, 14]]
HOLE = [[6, 6], [10, 6], [10, 10], [6, 10]]


@pytest.fixture
def read_objects(tmp_path: Path) -> Callable[..., LabelContent]:
    """Objects of one 31 x 24 image."""

    def read(*objects: Any) -> LabelContent:
        picture(tmp_path / "img/a.png")
        write(tmp_path / "ann/a.png.json", {"size": {"height": 24, "width": 31}, "objects": list(objects)})
        return read_labels(tmp_path)

    return read


def polygon(exterior: Any, interior: Any, kind: str = "polygon") -> dict[str, Any]:
    return {"classTitle": "a", "geometryType": kind, "points": {"exterior": exterior, "interior": interior}}


def test_holes_are_holes(read_objects: Any, bitmaps: Any) -> None:
    ((_, mask),) = bitmaps(read_objects(polygon(SQUARE, [HOLE])))
    expected = np.zeros((24, 31), bool)
    expected[4:14, 4:14] = True
    expected[6:10, 6:10] = False
    assert np.array_equal(mask, expected)


def test_bitmaps_are_packed_or_not(read_objects: Any, bitmaps: Any) -> None:
    """A ring of 5 x 5 pixels without its middle, its corner at (3, 2)."""
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    text = png_text(ring)
    packed = base64.b64encode(zlib.compress(base64.b64decode(text))).decode()
    shapes = [
        {"classTitle": "a", "geometryType": "bitmap", "bitmap": {"data": data, "origin": [3, 2]}}
        for data in (text, packed)
    ]
    for _, mask in bitmaps(read_objects(*shapes)):
        assert mask.sum() == 24 and not mask[4, 5] and mask[2:7, 3:8].sum() == 24


def test_a_rectangle_is_a_box(read_objects: Any) -> None:
    (entry,) = read_objects(polygon([[9, 8], [2, 3]], [], "rectangle")).coco["annotations"]
    assert entry["bbox"] == [2, 3, 7, 5] and "segmentation" not in entry


def test_classes_keep_the_order_of_the_project(tmp_path: Path) -> None:
    supervisely(tmp_path)
    write(tmp_path / "meta.json", {"classes": [{"title": "dog"}, {"title": "cow"}, {"title": "cat"}]})
    assert [entry["name"] for entry in read_labels(tmp_path).coco["categories"]] == ["dog", "cow", "cat"]


@pytest.mark.parametrize(
    ("shape", "rule"),
    [
        (polygon("x", []), Fault.SHAPE_MALFORMED),
        (polygon(SQUARE, ["x"]), Fault.SHAPE_MALFORMED),
        (polygon(SQUARE[:3], [], "rectangle"), Fault.SHAPE_MALFORMED),
        (polygon(SQUARE, [], "line"), Fault.SHAPE_WITHOUT_AREA),
        (polygon(SQUARE, [], "alpha"), Fault.SHAPE_UNKNOWN),
        (polygon(HOLE, [pairs([0, 0, 20, 0, 20, 20, 0, 20])]), Fault.SHAPE_OUTSIDE),
        (
            {"classTitle": "a", "geometryType": "bitmap", "bitmap": {"data": "AAAA", "origin": [0, 0]}},
            Fault.SHAPE_MALFORMED,
        ),
        ({"classTitle": "a", "geometryType": "bitmap", "bitmap": None}, Fault.SHAPE_MALFORMED),
    ],
)
def test_a_bad_object_is_reported(read_objects: Any, shape: Any, rule: Fault) -> None:
    content = read_objects(polygon(SQUARE, []), shape)
    assert content.report.counts == {rule: 1} and len(content.coco["annotations"]) == 1


def test_a_packed_bitmap_does_not_unpack_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskrcnn.data.formats.supervisely.MAX_PNG", 1000)
    supervisely(tmp_path)
    path = tmp_path / "set/ann/a.png.json"
    content = json.loads(path.read_text())
    content["objects"][1]["bitmap"]["data"] = base64.b64encode(zlib.compress(b"\0" * 100_000)).decode()
    write(path, content)
    read = read_labels(tmp_path)
    assert read.report.counts == {Fault.SHAPE_MALFORMED: 1} and "at most 1000 bytes" in read.report.lines[0]


def test_other_files_of_a_project_are_no_labels(tmp_path: Path) -> None:
    supervisely(tmp_path)
    for name in (
        "key_id_map.json",
        "obj_class_to_machine_color.json",
        "set/img_info/a.png.json",
        "set/meta/a.png.json",
    ):
        write(tmp_path / name, {"something": "else"})
    assert read_labels(tmp_path).report.counts.total() == 0


@pytest.mark.parametrize(
    ("image", "labels", "named"),
    [
        ("a.png", "a.png.json", ""),
        ("train/a.png", "train/a.png.json", ""),
        ("img/a.png", "annotations/a.png.json", ""),
        ("set/img/sub/a.png", "set/ann/sub/a.png.json", ""),
        ("set/ann/a.png", "set/ann/a.png.json", "set/ann"),
    ],
)
def test_labels_lie_beside_images_or_in_other_folders(tmp_path: Path, image: str, labels: str, named: str) -> None:
    """The image of the same name elsewhere is another one."""
    size = {"height": 24, "width": 31}
    for name in (image, "elsewhere/img/a.png"):
        picture(tmp_path / name)
    for name in ("meta.json", "key_id_map.json"):
        write(tmp_path / named / name, {"classes": [{"title": "a"}]})
    write(tmp_path / labels, {"size": size, "objects": [polygon(SQUARE, [])]})
    content = read_labels(tmp_path / named)
    (entry,) = content.coco["images"]
    assert content.folder / entry["file_name"] == tmp_path / image
    assert (len(content.coco["annotations"]), content.report.counts.total()) == (1, 0)
