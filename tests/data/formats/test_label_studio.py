"""Label Studio's JSON: percent, brushes to the bit, several annotators, names of uploads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.formats.scenes import brush_bytes, picture, write

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.label_studio import brush_rle
from maskrcnn.data.formats.table import read_labels
from maskrcnn.data.report import Fault
from maskrcnn.masks.rle import decode_rle

ReadForm = Callable[[Path, str], LabelContent]
BASE = {"id": "r", "original_width": 50, "original_height": 20, "image_rotation": 0}


@pytest.fixture
def read_results(tmp_path: Path) -> Callable[..., LabelContent]:
    """Regions of one 50 x 20 image."""

    def read(*results: Any, **more: Any) -> LabelContent:
        picture(tmp_path / "a.png")
        task = {"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": list(results)}], **more}
        write(tmp_path / "export.json", [task])
        return read_labels(tmp_path)

    return read


def test_a_sample_of_a_polygon(shared: Path, read_form: ReadForm, found: Any) -> None:
    """Area by pycocotools from the percent times the size; the image is known by the name of its upload."""
    content = read_form(shared / "data/formats/label_studio/polygons.json", "label-studio")
    assert content.coco["images"][0]["file_name"] == "e97d4735-000000000025.jpg"
    result = found(content)
    assert (result.objects, result.ignored, result.area) == ({"Airplane": 1}, 0, 19268)


def test_a_sample_of_all_kinds(shared: Path, read_form: ReadForm) -> None:
    content = read_form(shared / "data/formats/label_studio/coco_export_input.json", "label-studio")
    box, polygon = content.coco["annotations"]
    assert np.allclose(box["bbox"], [159.70962, 13.16312, 31.76044, 31.77305], atol=1e-4) and "segmentation" not in box
    assert len(polygon["segmentation"][0]) == 6 and content.report.counts == {Fault.SHAPE_WITHOUT_AREA: 2}


def test_samples_of_turned_boxes_are_polygons(shared: Path, read_form: ReadForm) -> None:
    content = read_form(shared / "data/formats/label_studio/rotated_boxes.json", "label-studio")
    stated = json.loads((shared / "data/formats/label_studio/rotated_boxes.json").read_text())
    results = [result for task in stated for result in task["annotations"][0]["result"]]
    assert len(content.coco["annotations"]) == len(results) == 25
    for entry, result in zip(content.coco["annotations"], results, strict=True):
        value = result["value"]
        assert ("segmentation" in entry) == (value["rotation"] != 0)
        if "segmentation" in entry:  # the first corner stays, and so does the area
            points = np.array(entry["segmentation"][0]).reshape(-1, 2)
            width, height = result["original_width"] / 100, result["original_height"] / 100
            assert np.allclose(points[0], [value["x"] * width, value["y"] * height])
            x, y = points.T
            area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
            assert np.isclose(area, value["width"] * width * value["height"] * height)


def test_of_several_annotators_the_newest_counts(shared: Path, read_form: ReadForm) -> None:
    content = read_form(shared / "data/formats/label_studio/boxes.json", "label-studio")
    assert content.report.counts == {Fault.SEVERAL_ANNOTATORS: 1}


BOX = {
    **BASE,
    "type": "rectanglelabels",
    "value": {"x": 10, "y": 20, "width": 40, "height": 50, "rectanglelabels": ["a"]},
}
OLDER = {"result": [], "created_at": "2024-01-01", "score": 0.9}
NEWER = {"result": [BOX], "created_at": "2024-01-02", "score": 0.1}


@pytest.mark.parametrize(
    ("annotations", "predictions", "objects", "faults"),
    [
        ([], [NEWER], 1, {Fault.PREDICTED: 1}),
        ([], [NEWER, OLDER], 1, {Fault.PREDICTED: 1}),
        ([], [], 0, {Fault.TASK_UNFINISHED: 1}),
        ([{"result": []}], [NEWER], 0, {}),
        ([{"result": [BOX, BOX]}], [NEWER], 2, {}),
        ([{"result": [BOX], "was_cancelled": True}], [NEWER], 0, {Fault.TASK_UNFINISHED: 1}),
    ],
)
def test_predictions_count_where_nobody_has_labelled(
    annotations: list[Any], predictions: list[Any], objects: int, faults: dict[Fault, int], read_results: Any
) -> None:
    content = read_results(annotations=annotations, predictions=predictions)
    assert len(content.coco["annotations"]) == objects and content.report.counts == faults


def test_predictions_among_labels_are_tasks_yet_to_be_done(tmp_path: Path) -> None:
    """Nobody has looked at them: as labels they would be taken for the truth."""
    tasks: list[dict[str, Any]] = [{"annotations": [{"result": [BOX]}]}, {"annotations": [], "predictions": [NEWER]}]
    for number, task in enumerate(tasks):
        picture(tmp_path / f"{number}.png")
        task["data"] = {"image": f"{number}.png"}
    write(tmp_path / "export.json", tasks)
    content = read_labels(tmp_path)
    assert [image["file_name"] for image in content.coco["images"]] == ["0.png"]
    assert content.report.counts == {Fault.TASK_UNFINISHED: 1} and content.report.dropped == {"1.png"}


def test_brushes_to_the_pixel() -> None:
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (7, 5), (24, 31)):
        mask = rng.random((height, width)) < 0.4
        mask[0, 0] = True
        rle = brush_rle(brush_bytes(mask), (height, width))
        assert rle is not None and np.array_equal(decode_rle(rle), mask)


def test_a_brush_that_claims_too_much_allocates_nothing(read_results: Any) -> None:
    brush = {"type": "brushlabels", "value": {"rle": [255, 255, 255, 255] * 4, "brushlabels": ["a"]}}
    content = read_results({**BASE, **brush})
    assert content.report.counts == {Fault.SHAPE_MALFORMED: 1}


def test_shapes_are_percent_of_the_original_size(read_results: Any) -> None:
    box = {"type": "rectanglelabels", "value": {"x": 10, "y": 20, "width": 40, "height": 50, "rectanglelabels": ["a"]}}
    polygon = {"type": "polygonlabels", "value": {"points": [[10, 20], [50, 20], [50, 70]], "polygonlabels": ["b"]}}
    around = {"x": 50, "y": 50, "radiusX": 20, "radiusY": 10, "rotation": 90, "ellipselabels": ["c"]}
    content = read_results({**BASE, **box}, {**BASE, **polygon}, {**BASE, "type": "ellipselabels", "value": around})
    first, second, third = content.coco["annotations"]
    assert first["bbox"] == [5, 4, 20, 10]
    assert second["segmentation"] == [[5, 4, 25, 4, 25, 14]]
    assert np.allclose(third["bbox"], [25 - 2, 10 - 10, 4, 20], atol=0.05)  # 20 % of 50 across, turned upright


@pytest.mark.parametrize(
    "image",
    [
        "/data/upload/3/0a1b2c3d-a.png",
        "/data/local-files/?d=home/me/a.png",
        "http://example.org/x/a.png",
        "s3://bucket/a.png",
        "../../../a.png",
    ],
)
def test_the_image_is_found_behind_urls_and_uploads(read_results: Any, image: str) -> None:
    assert read_results(data={"image": image}).coco["images"][0]["file_name"] == "a.png"


@pytest.mark.parametrize(
    ("result", "rule"),
    [
        ({"type": "polygonlabels", "value": {"points": "x", "polygonlabels": ["a"]}}, Fault.SHAPE_MALFORMED),
        ({"type": "polygonlabels", "value": {"points": [[1, 2], [3, 4], [5, 6]]}}, Fault.CLASS_NAME),
        ({"type": "rectanglelabels", "value": {"x": 1, "rectanglelabels": ["a"]}}, Fault.SHAPE_MALFORMED),
        ({"type": "keypointlabels", "value": {"x": 1, "y": 1, "keypointlabels": ["a"]}}, Fault.SHAPE_WITHOUT_AREA),
        ({"type": "cuboidlabels", "value": {}}, Fault.SHAPE_UNKNOWN),
        ({"type": "polygonlabels", "original_width": -1, "value": {}}, Fault.SHAPE_MALFORMED),
    ],
)
def test_a_bad_region_is_reported(read_results: Any, result: dict[str, Any], rule: Fault) -> None:
    content = read_results({**BASE, **result})
    assert content.report.counts == {rule: 1} and content.coco["annotations"] == []


def test_labels_of_the_whole_picture_and_cancelled_ones_are_none(read_results: Any) -> None:
    choice = {**BASE, "type": "choices", "value": {"choices": ["good"]}}
    content = read_results(choice)
    assert content.coco["annotations"] == [] and content.report.counts.total() == 0
    points = {"points": [[1, 2], [9, 2], [9, 9]], "polygonlabels": ["a"]}
    polygon = {**BASE, "type": "polygonlabels", "value": points}
    assert read_results(annotations=[{"result": [polygon], "was_cancelled": True}]).coco["annotations"] == []


def polygon(*labels: str) -> dict[str, Any]:
    value = {"points": [[1, 2], [9, 2], [9, 9]], "polygonlabels": list(labels)}
    return {**BASE, "type": "polygonlabels", "value": value}


@pytest.mark.parametrize("annotations", [[], [{"result": [polygon("a")], "was_cancelled": True}]])
def test_a_task_that_nobody_has_finished_is_left_out(read_results: Any, annotations: list[Any]) -> None:
    """Learned as background it would teach that its objects are none."""
    content = read_results(annotations=annotations)
    assert content.coco["images"] == [] and content.report.counts == {Fault.TASK_UNFINISHED: 1}
    assert "task 1" in content.report.lines[0]


def test_a_finished_task_without_regions_is_background(read_results: Any) -> None:
    content = read_results()
    assert len(content.coco["images"]) == 1 and content.report.counts.total() == 0


def test_of_several_labels_of_a_region_the_first_counts(read_results: Any) -> None:
    content = read_results(polygon("b", "a"))
    assert content.class_names == ("b",) and content.report.counts == {Fault.SEVERAL_LABELS: 1}


def test_tasks_of_predictions_alone_are_known(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    write(tmp_path / "tasks.json", [{"data": {"image": "a.png"}, "predictions": [{"result": [polygon("a")]}]}])
    assert read_labels(tmp_path).class_names == ("a",)
