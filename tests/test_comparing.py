"""Two files of results compared on labels of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.compared_sides import Side
from maskrcnn.comparing import compare_results
from maskrcnn.errors import UserError
from maskrcnn.evaluation.comparison import Comparison
from maskrcnn.evaluation.metrics import ImageMetrics, IouType, Metrics, OperatingPoint, TypeMetrics
from maskrcnn.label_rules import LabelRules


def scene(folder: Path, num_images: int = 24) -> tuple[Path, Path, Path]:
    """Squares; A finds every second one, B all of them."""
    (folder / "images").mkdir(parents=True)
    images, annotations, found = [], [], []
    for number in range(1, num_images + 1):
        Image.fromarray(np.full((40, 60, 3), 80, np.uint8)).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 60, "height": 40, "film": number % 8})
        for x in (2, 30):
            box = {"bbox": [x, 5, 20, 20], "segmentation": [[x, 5, x + 20, 5, x + 20, 25, x, 25]]}
            entry: dict[str, Any] = {"image_id": number, "category_id": 1, **box}
            annotations.append({"id": len(annotations) + 1, "iscrowd": 0, "area": 400, **entry})
            found.append({**entry, "score": 0.9 if x == 2 else 0.8})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "square"}]}
    paths = folder / "instances_val.json", folder / "a.json", folder / "b.json"
    some = [entry for entry in found if entry["image_id"] % 3 or entry["score"] > 0.85]
    for path, values in zip(paths, (content, some, found), strict=True):
        path.write_text(json.dumps(values))
    return paths


def as_given(path: Path) -> Side:
    """A file of results that the command was given."""
    return Side(path, str(path))


def compared(folder: Path, **how: Any) -> dict[IouType, Comparison]:
    """The scene in a folder, into `out` in it."""
    annotations, first, second = scene(folder)
    return compare_results(annotations, as_given(first), as_given(second), folder / "out", **how)


def test_tables_page_and_numbers(tmp_path: Path) -> None:
    lines: list[str] = []
    found = compared(tmp_path, images=tmp_path / "images", say=lines.append)
    assert "B is better by" in found["mask"].verdict and found["mask"].summary[0].second == pytest.approx(1)
    assert f"A: {tmp_path / 'a.json'}" in lines[0] and "AP of a class" in lines[0]
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert page.count("<figure") == 6 and page.count("data:image/jpeg") == 18 and "B is better by" in page
    numbers = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert numbers["mask"]["summary"][0]["difference"] == pytest.approx(found["mask"].summary[0].change.estimate)
    assert {image["image_id"] % 3 for image in numbers["mask"]["images"][:8]} == {0}, "those that differ come first"


def test_groups_of_images_are_kept_together(tmp_path: Path) -> None:
    found = compared(tmp_path, rules=LabelRules(group_by="film"), say=lambda _: None)
    assert found["box"].num_groups == 8 and "too few" in found["box"].verdict


def test_wrong_detections_are_marked_and_groups_are_parts(tmp_path: Path) -> None:
    found = compared(tmp_path, images=tmp_path / "images", rules=LabelRules(group_by="film"))
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "dashed with a cross: wrong" in page and "Truth</p>" in page
    names = [part.name for part in found["mask"].slices]
    assert sum(name.startswith("film ") for name in names) == 8


def test_results_with_nothing_in_common(tmp_path: Path) -> None:
    annotations, first, second = scene(tmp_path)
    second.write_text("[]")
    with pytest.raises(UserError, match="expected results with masks, boxes or keypoints in both"):
        compare_results(annotations, as_given(first), as_given(second), tmp_path / "out")
    second.write_text(json.dumps([{"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1], "score": 1}]))
    with pytest.raises(UserError, match=r"b\.json: .*category_id 9"):
        compare_results(annotations, as_given(first), as_given(second), tmp_path / "out")


def test_what_files_leave_open_is_said(tmp_path: Path) -> None:
    """B has nothing for nine of 24 images, and more of one class than may count in the others."""
    annotations, first, second = scene(tmp_path)
    second.write_text(json.dumps([entry for entry in json.loads(second.read_text()) if entry["image_id"] > 9]))
    lines: list[str] = []
    sides = as_given(first), as_given(second)
    compare_results(annotations, *sides, tmp_path / "out", max_detections=1, say=lines.append)
    warnings = json.loads((tmp_path / "out" / "comparison.json").read_text())["warnings"]
    limit = "max_detections = 1: {} of 24 images have more {} of one class (up to 2)"
    starts = [
        limit.format(24, "objects"),
        f"A: {limit.format(16, 'predictions')}",
        f"B: {limit.format(15, 'predictions')}",
        "B: no predictions in 9 of 24 images with objects",
    ]
    assert [line.startswith(start) for line, start in zip(warnings, starts, strict=True)] == [True] * 4, warnings
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert all(f"warning: {line}" in lines[0] and line in page for line in warnings)


def measured(seen: range, *warnings: str) -> Metrics:
    """What an evaluation says that has seen these images."""
    images = tuple(ImageMetrics(number, 0, 0, 0, 0.0, 0.0) for number in seen)
    numbers = TypeMetrics({}, (), (), images, OperatingPoint(0.5, 0, 0, 0))
    return Metrics({"box": numbers}, 100, 0.5, len(images), warnings, "")


def test_images_that_one_model_could_not_read_are_left_out_of_both(tmp_path: Path) -> None:
    """A has seen 1 to 20, B 3 to 24: of boxes, all that was evaluated, both have found all in the 18 others."""
    annotations, first, second = scene(tmp_path)
    found = json.loads(second.read_text())
    first.write_text(json.dumps([entry for entry in found if entry["image_id"] <= 20]))
    second.write_text(json.dumps([entry for entry in found if entry["image_id"] >= 3]))
    a = Side(first, "one", measured(range(1, 21), "both say so", "four left out"))
    b = Side(second, "other", measured(range(3, 25), "both say so"))
    (kind, comparison), *others = compare_results(annotations, a, b, tmp_path / "out", say=lambda _: None).items()
    assert kind == "box" and not others
    assert comparison.summary[0].first == comparison.summary[0].second == pytest.approx(1)
    assert sorted(image.image_id for image in comparison.images) == list(range(3, 21))
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["warnings"] == [
        "both say so", "A: four left out", "left out of both: 6 images that A or B could not read",
    ]  # fmt: skip
    with pytest.raises(UserError, match="expected an image that both have looked at, got none"):
        compare_results(annotations, Side(first, "one", measured(range(1, 3))), b, tmp_path / "out")


def test_where_no_object_has_a_mask_boxes_are_compared(tmp_path: Path) -> None:
    annotations, first, second = scene(tmp_path)
    content = json.loads(annotations.read_text())
    content["annotations"] = [{**entry, "segmentation": []} for entry in content["annotations"]]
    annotations.write_text(json.dumps(content))
    found = compare_results(annotations, as_given(first), as_given(second), tmp_path / "out")
    assert list(found) == ["box"] and found["box"].summary[0].second == pytest.approx(1)


def test_names_decide_and_missing_images_are_said(tmp_path: Path) -> None:
    """B counts its images backwards, and has not looked at all of them."""
    annotations, first, second = scene(tmp_path)
    entries = [entry for entry in json.loads(second.read_text()) if entry["image_id"] > 4]
    moved = [
        {**entry, "file_name": f"{entry['image_id']}.png", "image_id": 25 - entry["image_id"]} for entry in entries
    ]
    second.write_text(json.dumps(moved))
    said: list[str] = []
    sides = as_given(first), as_given(second)
    found = compare_results(annotations, *sides, tmp_path / "out", say=said.append)
    assert found["box"].summary[0].second == pytest.approx(np.floor(101 * 40 / 48) / 101, abs=1e-6)
    note = "B: no predictions in 4 of 24 images with objects"
    assert f"warning: {note}" in said[0] and "A: no" not in said[0]
    assert note in (tmp_path / "out" / "comparison.html").read_text()
