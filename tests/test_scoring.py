"""Labels and given predictions: what training reads is what is measured, and perfect masks score 1."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from maskrcnn.data.coco import read_coco
from maskrcnn.errors import UserError
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.scoring import evaluate_predictions
from maskrcnn.structures import RLE

A, B = (8, 8, 28, 24), (36, 20, 56, 40)
SIZE = {"height": 48, "width": 64}

Json = dict[str, Any]


def ring(box: tuple[int, ...]) -> list[float]:
    x1, y1, x2, y2 = box
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def annotation(number: int, box: tuple[int, ...], **changes: Any) -> Json:
    x1, y1, x2, y2 = box
    usual = {"bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": [ring(box)], "iscrowd": 0}
    return {"id": number, "image_id": 1, "category_id": 1, **usual, **changes}


def labels(*annotations: Json) -> Json:
    image = {"id": 1, "file_name": "a.png", **SIZE}
    return {"images": [image], "annotations": list(annotations), "categories": [{"id": 1, "name": "cell"}]}


PERFECT = [{"score": 0.9, **{k: v for k, v in annotation(0, box).items() if k != "id"}} for box in (A, B)]


def scores(content: Json, **more: Any) -> list[float]:
    metrics = evaluate_predictions(content, PERFECT, **more)
    return [metrics[kind]["AP"] for kind in ("mask", "box")]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"segmentation": [ring(A), [1, 2]]},
        {"segmentation": [ring(A), [1, 2, 3, 4, 5, 6, 7]]},
        {"segmentation": [ring(A), []]},
        {"segmentation": [ring(A), None]},
        {"segmentation": [ring(A), [1, 2, "three", 4, 5, 6]]},
        {"segmentation": [list(map(str, ring(A)))]},
        {"segmentation": ring(A)},
        {"segmentation": [[{"x": x, "y": y} for x, y in zip(ring(A)[::2], ring(A)[1::2], strict=True)]]},
        {"segmentation": [], "bbox": [8, 8, 20, 16]},
        {"segmentation": None, "bbox": ["8", "8.0", "20", "16"]},
        {"segmentation": {"size": [48, 64], "counts": [1, 2, 3]}},
        {"segmentation": {"size": [24, 32], "counts": "~"}},
        {"bbox": ["8", "8.0", "20", "16"]},
        {"bbox": None},
        {"bbox": [0, 0, 0, 0]},
        {"bbox": [30, 2, 3, 3]},
        {"image_id": "1.0", "category_id": "1"},
        {"id": 0},
        {"id": 2},
        {"id": None, "area": None, "iscrowd": None},
        {"area": "320"},
        {"area": 1e9},
        {"iscrowd": 1},
    ],
)
def test_one_odd_annotation_never_makes_perfect_predictions_wrong(changes: Json) -> None:
    """Beside a good one; whatever training makes of it, neither a right nor a wrong detection comes from it."""
    content = labels(annotation(1, A, **changes), annotation(2, B))
    assert scores(content) == pytest.approx([1, 1])
    data = read_coco(content)
    found = evaluate_predictions(content, PERFECT)["mask"].classes[0].num_truths
    assert found == data.report.num_objects >= 1


def test_what_is_left_out_is_said() -> None:
    content = labels(annotation(1, A, category_id=5), annotation(2, B))
    metrics = evaluate_predictions(content, PERFECT[1:])
    assert metrics["mask"]["AP"] == pytest.approx(1)
    assert metrics.warnings == ("the labels: 1 x unknown category; annotation dropped",)


def test_categories_from_zero_are_as_good_as_others() -> None:
    content = labels(annotation(1, A, category_id=0), annotation(2, B, category_id=1))
    content["categories"] = [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]
    results = [result | {"category_id": number} for number, result in enumerate(PERFECT)]
    assert evaluate_predictions(content, results)["mask"]["AP"] == pytest.approx(1)


def test_crowds_are_objects_where_that_is_asked_for() -> None:
    content = labels(annotation(1, A, iscrowd=1), annotation(2, B, iscrowd=1))
    assert read_coco(content).report.num_objects == 0 and read_coco(content, crowd="object").report.num_objects == 2
    assert "crowd" in read_coco(content).report.lines[-1]
    assert read_coco(content, crowd="object").report.counts == {}


@pytest.mark.parametrize("other", ["a.png", "./a.png", "link.png", "x/../a.png"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_picture_listed_twice_is_one_with_the_objects_of_both(tmp_path: Path, other: str, shared: bool) -> None:
    """Each entry has a part of the objects, or both have all of them."""
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    content = labels(annotation(1, A), *([annotation(3, B)] if shared else []), annotation(2, B, image_id=2))
    content["images"].append({"id": 2, "file_name": other, **SIZE})
    folder = None if other in ("a.png", "./a.png") else tmp_path
    if other == "x/../a.png":
        folder = None  # no name leads out of a folder, so that this one is never looked for
    data = read_coco(content, folder)
    assert (data.report.num_images, data.report.num_objects) == (1, 2)
    assert any("image 2" in line and "that of an earlier image" in line for line in data.report.lines)
    if folder is None:
        assert scores(content) == pytest.approx([1, 1])


def test_polygons_far_outside_cost_what_they_cover() -> None:
    """COCO's own way walks along every edge."""
    wide = annotation(1, A, segmentation=[[-1e9, 8, 1e9, 8, 1e9, 24, -1e9, 24]], bbox=[0, 8, 64, 16])
    results = [PERFECT[0] | {"segmentation": wide["segmentation"]}, PERFECT[1]]
    assert evaluate_predictions(labels(wide, annotation(2, B)), results)["mask"]["AP"] == pytest.approx(1)


def test_files_and_their_content_are_measured_alike(tmp_path: Path) -> None:
    content = labels(annotation(1, A), annotation(2, B))
    (tmp_path / "labels.json").write_text(json.dumps(content))
    (tmp_path / "results.json").write_text(json.dumps(PERFECT))
    before = copy.deepcopy(content)
    files = evaluate_predictions(tmp_path / "labels.json", tmp_path / "results.json")
    assert files.to_dict() == evaluate_predictions(content, PERFECT).to_dict() and content == before


def test_image_sizes_that_no_file_can_tell_drop_the_image() -> None:
    content = labels(annotation(1, A))
    content["images"].append({"id": 2, "file_name": "b.png"})
    data = read_coco(content)
    assert data.report.num_images == 1 and "image 2 (b.png): width and height" in data.report.lines[0]
    with pytest.raises(UserError, match="the labels: expected at least one usable image, got none"):
        read_coco({**content, "images": content["images"][1:]})


def test_run_lengths_of_predictions_are_used_as_they_are() -> None:
    x1, y1, x2, y2 = A
    counts = [x1 * 48 + y1, *[y2 - y1, 48 - (y2 - y1)] * (x2 - x1)]
    counts[-1] = 48 * 64 - sum(counts[:-1])
    import numpy as np

    result = PERFECT[0] | {"segmentation": rle_to_coco(RLE((48, 64), np.array(counts)))}
    assert evaluate_predictions(labels(annotation(1, A)), [result])["mask"]["AP"] == pytest.approx(1)


def test_names_decide_and_what_is_doubtful_is_said() -> None:
    """Images and classes numbered otherwise measure the same; that no prediction is in any image is said."""
    content = labels(annotation(1, A), annotation(2, B, image_id=2, category_id=2))
    content["images"].append({"id": 2, "file_name": "b.png", **SIZE})
    content["categories"].append({"id": 2, "name": "dot"})
    results = [
        {**PERFECT[0], "image_id": 2, "category_id": 2, "file_name": "x/a.png", "category_name": "cell"},
        {**PERFECT[1], "image_id": 1, "category_id": 1, "file_name": "x/b.png", "category_name": "dot"},
    ]
    metrics = evaluate_predictions(content, results)
    assert metrics["mask"]["AP"] == pytest.approx(1)
    assert [line.split()[0] for line in metrics.warnings] == ["image_id", "category_id"]
    half = evaluate_predictions(content, results[:1])
    assert half["mask"]["AP"] == pytest.approx(0.5)
    assert all("count as missed" not in line for line in half.warnings), "one image without predictions is usual"
    none = evaluate_predictions(content, [], iou_types=("mask",))
    assert none.warnings[-1] == "no predictions in 2 of 2 images with objects: all of these count as missed"


@pytest.mark.parametrize("score", [97, -3.5])
def test_scores_that_are_no_probabilities_have_no_calibration(tmp_path: Path, score: float) -> None:
    """COCO asks of scores only that they order."""
    results = [PERFECT[0], PERFECT[1] | {"score": score}]
    metrics = evaluate_predictions(labels(annotation(1, A), annotation(2, B)), results, tmp_path)
    assert metrics["mask"]["AP"] == pytest.approx(1)
    assert any("no probabilities" in line for line in metrics.warnings)
    explained = json.loads((tmp_path / "metrics.json").read_text())["explanation"]["mask"]
    assert explained["calibration"] == {"error": None, "bins": []}
