"""The four numbers of Long et al. 2015, section 5, by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hotcoco import semantic

from maskrcnn.evaluation.semantic import Confusion
from maskrcnn.structures.semantic import IGNORED


def confusion(truth: list[int], found: list[int]) -> Confusion:
    counted = Confusion(("road", "tree"))
    counted.add(np.array([truth], np.uint8), np.array([found], np.uint8))
    return counted


def test_by_hand() -> None:
    """Ten pixels: road 4 of which 3 are found, tree 2 of which 1, background 4 of which all; 2 ignored."""
    truth = [0, 0, 0, 0, 1, 1, 2, 2, 2, 2, IGNORED, IGNORED]
    found = [0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 0, 1]
    metrics = confusion(truth, found).metrics()
    road, tree, background = 3 / 4, 1 / 3, 4 / 5  # 3 / (4 + 3 - 3), 1 / (2 + 2 - 1), 4 / (4 + 5 - 4)
    assert [row.iou for row in metrics.classes] == pytest.approx([road, tree, background])
    assert [row.accuracy for row in metrics.classes] == pytest.approx([3 / 4, 1 / 2, 1])
    assert [row.num_pixels for row in metrics.classes] == [4, 2, 4]
    assert [row.name for row in metrics.classes] == ["road", "tree", "background"]
    assert metrics.pixel_accuracy == pytest.approx(8 / 10)
    assert metrics.mean_accuracy == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert metrics.mean_iou == pytest.approx((road + tree + background) / 3)
    assert metrics.frequency_weighted_iou == pytest.approx((4 * road + 2 * tree + 4 * background) / 10)


def test_images_add_up() -> None:
    truth, found = [0, 0, 1, 2], [0, 1, 1, 0]
    both = confusion(truth, found)
    both.add(np.array([[2, 2]], np.uint8), np.array([[2, 2]], np.uint8))
    assert both.counts.tolist() == confusion([*truth, 2, 2], [*found, 2, 2]).counts.tolist()
    assert both.counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 2]]


def test_a_class_that_is_nowhere_does_not_count_and_one_wrongly_found_does() -> None:
    nowhere = confusion([0, 0, 2], [0, 0, 2]).metrics()
    assert nowhere.mean_iou == nowhere.mean_accuracy == 1 and math.isnan(nowhere.classes[1].iou)
    wrong = confusion([0, 0, 2], [0, 1, 2]).metrics()
    assert wrong.mean_iou == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert wrong.mean_accuracy == pytest.approx((1 / 2 + 1) / 2)


def test_a_class_that_the_data_set_does_not_have_is_in_no_mean() -> None:
    """Its pixels are still wrong for what they are: 1 of 2 of road, all of background."""
    metrics = confusion([0, 0, 2], [0, 1, 2]).metrics(not_in_data=[1])
    assert metrics.mean_iou == metrics.mean_accuracy == pytest.approx((1 / 2 + 1) / 2)
    assert math.isnan(metrics.classes[1].iou) and metrics.pixel_accuracy == pytest.approx(2 / 3)


def test_nothing_known_is_no_number_and_valid_json() -> None:
    metrics = confusion([IGNORED], [0]).metrics()
    assert all(math.isnan(value) for value in metrics.summary.values())
    written = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert written["mIoU"] is None and written["per_class"][0] == {
        "name": "road",
        "num_pixels": 0,
        "IoU": None,
        "accuracy": None,
    }


def test_as_hotcoco_counts() -> None:
    generator = np.random.default_rng(0)
    truth, found = (generator.integers(0, 3, (20, 30)).astype(np.uint8) for _ in range(2))
    truth[:3] = IGNORED
    theirs = semantic.SemanticEval(3)
    theirs.update(truth, found)
    ours = Confusion(("road", "tree"))
    ours.add(truth, found)
    assert np.array_equal(np.asarray(theirs.confusion()).reshape(3, 3), ours.counts)
    expected, metrics = theirs.report()["metrics"], ours.metrics()
    assert metrics.mean_iou == pytest.approx(expected["mIoU"])
    assert metrics.frequency_weighted_iou == pytest.approx(expected["fwIoU"])
    assert (metrics.mean_accuracy, metrics.pixel_accuracy) == pytest.approx((expected["mAcc"], expected["aAcc"]))
