"""Two files of results compared on labels of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.comparing import compare_results
from maskrcnn.errors import UserError


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


def test_tables_page_and_numbers(tmp_path: Path) -> None:
    annotations, first, second = scene(tmp_path)
    lines: list[str] = []
    found = compare_results(annotations, first, second, tmp_path / "out", images=tmp_path / "images", say=lines.append)
    assert "B is better by" in found["mask"].verdict and found["mask"].summary[0].second == pytest.approx(1)
    assert "A: a.json" in lines[0] and "AP of a class" in lines[0]
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert page.count("<figure") == 6 and page.count("data:image/jpeg") == 18 and "B is better by" in page
    numbers = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert numbers["mask"]["summary"][0]["difference"] == pytest.approx(found["mask"].summary[0].change.estimate)
    assert {image["image_id"] % 3 for image in numbers["mask"]["images"][:8]} == {0}, "those that differ come first"


def test_groups_of_images_are_kept_together(tmp_path: Path) -> None:
    annotations, first, second = scene(tmp_path)
    found = compare_results(annotations, first, second, tmp_path / "out", group_by="film", say=lambda _: None)
    assert found["box"].num_groups == 8 and "too few" in found["box"].verdict


def test_wrong_detections_are_marked_and_groups_are_parts(tmp_path: Path) -> None:
    annotations, first, second = scene(tmp_path)
    found = compare_results(annotations, first, second, tmp_path / "out", images=tmp_path / "images", group_by="film")
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert "dashed with a cross: wrong" in page and "Truth</p>" in page
    names = [part.name for part in found["mask"].slices]
    assert sum(name.startswith("film ") for name in names) == 8


def test_results_with_nothing_in_common(tmp_path: Path) -> None:
    annotations, first, second = scene(tmp_path)
    second.write_text("[]")
    with pytest.raises(UserError, match="expected results with masks, boxes or keypoints in both"):
        compare_results(annotations, first, second, tmp_path / "out")
    second.write_text(json.dumps([{"image_id": 1, "category_id": 9, "bbox": [0, 0, 1, 1], "score": 1}]))
    with pytest.raises(UserError, match=r"b\.json: .*category_id 9"):
        compare_results(annotations, first, second, tmp_path / "out")


def test_names_decide_and_missing_images_are_said(tmp_path: Path) -> None:
    """B counts its images backwards, and has not looked at all of them."""
    annotations, first, second = scene(tmp_path)
    entries = [entry for entry in json.loads(second.read_text()) if entry["image_id"] > 4]
    moved = [
        {**entry, "file_name": f"{entry['image_id']}.png", "image_id": 25 - entry["image_id"]} for entry in entries
    ]
    second.write_text(json.dumps(moved))
    said: list[str] = []
    found = compare_results(annotations, first, second, tmp_path / "out", say=said.append)
    assert found["box"].summary[0].second == pytest.approx(np.floor(101 * 40 / 48) / 101, abs=1e-6)
    note = "b.json: no predictions in 4 of 24 images with objects"
    assert f"warning: {note}" in said[0] and "a.json: no" not in said[0]
    assert note in (tmp_path / "out" / "comparison.html").read_text()
