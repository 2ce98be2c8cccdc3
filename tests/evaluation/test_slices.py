from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.errors import UserError
from maskrcnn.evaluation.slices import MOST_GROUPS, groups_of, image_slices
from maskrcnn.scoring import evaluate_predictions, ground_truth_of


def labels(films: list[Any]) -> dict[str, Any]:
    """An object in every image; None: the image names no film."""
    images = [
        {"id": i, "width": 20, "height": 20, **({} if film is None else {"film": film})} for i, film in enumerate(films)
    ]
    objects = [
        {"id": i + 1, "image_id": i, "category_id": 1, "bbox": [2, 2, 5, 5], "area": 25, "iscrowd": 0}
        for i in range(len(films))
    ]
    return {"images": images, "annotations": objects, "categories": [{"id": 1, "name": "a"}]}


def slices_of(films: list[Any], group_by: str = "film") -> dict[str, list[int]]:
    truth = ground_truth_of(read_coco(labels(films), need_masks=False, group_by=group_by))
    return {name: np.flatnonzero(chosen).tolist() for name, chosen in image_slices(truth).items()}


def test_groups_are_named_by_field_and_value_the_largest_first() -> None:
    assert slices_of(["b", "b", "a", "a", "a", "a", 1, "b", None, None, None]) == {
        "film a": [2, 3, 4, 5],
        "film b": [0, 1, 7],
        "film unknown": [8, 9, 10],
    }
    assert list(slices_of(["x\ny"] * 3 + [1] * 4)) == ["film 1", "film x y"], "one line each"
    alike = slices_of(["1"] * 3 + [1] * 4 + ["unknown"] * 5 + [None] * 6)
    assert {name: len(images) for name, images in alike.items()} == {
        "film unknown": 6,
        "film unknown (2)": 5,
        "film 1": 4,
        "film 1 (2)": 3,
    }


def test_one_group_or_many_small_ones_are_no_slices() -> None:
    assert slices_of(["a"] * 5) == slices_of(["a"] * 5, "") == slices_of(list("aabbccdd")) == {}
    assert len(slices_of([i // 3 for i in range(60)])) == MOST_GROUPS


def test_groups_reach_metrics_and_intervals(tmp_path: Path) -> None:
    films = [f"film {i // 3}" for i in range(60)]
    found = [{"image_id": i, "category_id": 1, "bbox": [2, 2, 5, 5], "score": 0.5} for i in range(0, 60, 2)]
    metrics = evaluate_predictions(labels(films), found, tmp_path, group_by="film", say=lambda _: None)["box"]
    assert metrics.intervals is not None and metrics.intervals.summary["AP"].bounds() is not None
    rows = metrics.explanation.slices if metrics.explanation else ()
    assert [row.name for row in rows][:2] == ["film film 0", "film film 1"] and rows[0].size == 3
    assert rows[0].ap.estimate == pytest.approx(67 / 101), "two of three"
    with pytest.raises(UserError, match="expected a field of the image records to group images by, got flim"):
        evaluate_predictions(labels(films), found, group_by="flim")


def test_groups_of_one_are_the_images() -> None:
    truth = ground_truth_of(read_coco(labels([None] * 4), need_masks=False))
    assert groups_of(truth).tolist() == [0, 1, 2, 3]
