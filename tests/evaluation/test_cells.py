"""Scores of cells against numbers worked out by hand, the definitions written slowly, and the originals' numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.evaluation.toys import rle

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation import evaluate_coco, fields
from maskrcnn.evaluation.cells import CellScores, are_cells
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.intervals import Halves
from maskrcnn.evaluation.scenes import scenes
from maskrcnn.evaluation.scores import Scores
from maskrcnn.json_values import load_json
from maskrcnn.scoring import evaluate_predictions, ground_truth_of

Labels = npt.NDArray[np.int64]


def pictures(seed: int) -> tuple[Labels, Labels]:
    """Discs, and the same moved, merged, lost and invented."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:80, :90]
    true, found = np.zeros((2, 80, 90), np.int64)
    for number in range(1, 15):
        row, column, radius = random.integers(5, 75), random.integers(5, 85), random.integers(3, 9)
        true[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = number
        if random.random() < 0.85:
            row, column, radius = np.array([row, column, radius]) + random.integers(-1, 2, 3)
            found[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = number if random.random() < 0.9 else 1
    return true, found


def coco_of(pairs: Sequence[tuple[Labels, Labels]], score: float = 0.9) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The objects of label images as labels and as results."""
    images = [{"id": i, "height": pair[0].shape[0], "width": pair[0].shape[1]} for i, pair in enumerate(pairs)]
    truths, results = (
        [
            {"image_id": i, "category_id": 1, "segmentation": rle((pair[side] == number).astype(np.uint8))}
            for i, pair in enumerate(pairs)
            for number in np.unique(pair[side])[np.unique(pair[side]) > 0].tolist()
        ]
        for side in (0, 1)
    )
    annotations = [{"id": i, "iscrowd": 0, **entry} for i, entry in enumerate(truths, start=1)]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cell"}]}
    return content, [{"score": score, **entry} for entry in results]


def scores_of(content: dict[str, Any], results: list[dict[str, Any]], threshold: float = 0.5) -> Scores:
    truth = ground_truth_of(read_coco(content))
    metric = CellScores(len(truth.images), threshold)
    for scene in scenes(Compared.of(truth, results, "mask", 100)):
        metric.add(scene)
    return metric.scores(Halves.of(np.arange(len(truth.images))))


def numbers(scores: Scores) -> dict[str, float]:
    return {name: one.estimate for name, one in scores.numbers.items()}


def row(*parts: tuple[int, int, int]) -> Labels:
    """A picture of one row of 40 pixels; of each part the number, the first pixel and the one past the last."""
    labels = np.zeros((1, 40), np.int64)
    for number, start, end in parts:
        labels[0, start:end] = number
    return labels


def test_worked_out_by_hand() -> None:
    """IoUs: 8 / 10 of objects 1, 4 / 8 of 2 (no match), none of 3; a detection that meets none."""
    true = row((1, 0, 10), (2, 12, 18), (3, 20, 24))
    found = row((1, 0, 8), (2, 14, 20), (3, 30, 35))
    got = numbers(scores_of(*coco_of([(true, found)])))
    assert got["DSB"] == pytest.approx(6 / 10 * 1 / 5), "at 0.5 to 0.75: one of five; 0.8 is not above 0.8"
    assert got["AJI"] == pytest.approx((8 + 4) / (10 + 8 + 4 + 5))
    assert (got["DQ"], got["SQ"]) == pytest.approx((2 / 6, 0.8)) and got["PQ"] == pytest.approx(0.8 / 3)
    assert got["F1"] == got["DQ"]


def test_a_detection_serves_two_objects_in_the_jaccard_index_alone() -> None:
    got = numbers(scores_of(*coco_of([(row((1, 0, 10), (2, 10, 20)), row((1, 0, 20)))])))
    assert got["AJI"] == pytest.approx((10 + 10) / (20 + 20)) and got["DQ"] == got["DSB"] == 0 == got["SQ"]


def test_images_count_alike_and_f1_counts_objects() -> None:
    one, four = row((1, 0, 5)), row((1, 0, 5), (2, 5, 10), (3, 10, 15), (4, 15, 20))
    empty = row()
    pairs = [(one, one), (four, empty), (empty, empty)]
    got = numbers(scores_of(*coco_of(pairs)))
    assert got == pytest.approx({"DSB": 0.5, "AJI": 0.5, "PQ": 0.5, "DQ": 0.5, "SQ": 0.5, "F1": 2 / 6})
    assert numbers(scores_of(*coco_of([(empty, one)]))) == dict.fromkeys(got, 0.0), "something where nothing is"
    assert all(math.isnan(value) for value in numbers(scores_of(*coco_of([(empty, empty)]))).values())


def test_a_pixel_belongs_to_the_best_detection_and_weak_ones_do_not_count() -> None:
    content, results = coco_of([(row((1, 0, 10), (2, 10, 20)), row((1, 0, 10)))])
    wide = {**results[0], "score": 0.6, "segmentation": rle(row((1, 0, 20)).astype(np.uint8))}
    weak = {**wide, "score": 0.4}
    scores = scores_of(content, [weak, wide, *results])
    assert numbers(scores) == dict.fromkeys(scores.numbers, 1.0), "of the wide one the second half is left"
    assert "33.3 % were found more than once" in scores.note and "at least 0.5" in scores.note
    covered = {**results[0], "score": 0.7}
    assert numbers(scores_of(content, [wide, covered, *results]))["DQ"] == 1, "nothing is left of it"


def test_ignored_regions_are_neither_right_nor_wrong() -> None:
    content, results = coco_of([(row((1, 0, 10), (2, 12, 30)), row((1, 0, 10), (2, 24, 32), (3, 34, 40)))])
    content["annotations"][1]["iscrowd"] = 1
    got = numbers(scores_of(content, results))
    assert got["DQ"] == pytest.approx(2 / 3), "6 of 8 pixels of the second lie in the region; the third is wrong"
    over = [results[0], {**results[1], "segmentation": rle(row((1, 0, 24)).astype(np.uint8))}]
    assert numbers(scores_of(content, over))["F1"] == 1, "of what is left of it, more than half"


def slowly(true: Labels, found: Labels) -> dict[str, float]:
    """The definitions, mask by mask."""
    masks = [[labels == number for number in np.unique(labels) if number] for labels in (true, found)]
    ious = np.array([[(a & b).sum() / (a | b).sum() for b in masks[1]] for a in masks[0]])
    ious = ious.reshape(len(masks[0]), len(masks[1]))
    ratios = []
    for percent in range(50, 100, 5):
        hits = sum(bool((line > percent / 100).any()) for line in ious)
        ratios.append(hits / (ious.shape[0] + ious.shape[1] - hits))
    shared, union, used = 0, 0, set()
    for mask, line in zip(masks[0], ious, strict=True):
        best = int(line.argmax())
        met = line[best] > 0
        shared += int((mask & masks[1][best]).sum()) if met else 0
        union += int((mask | masks[1][best]).sum()) if met else int(mask.sum())
        used |= {best} if met else set()
    union += sum(int(mask.sum()) for number, mask in enumerate(masks[1]) if number not in used)
    good = ious[ious > 0.5]
    false = sum(ious.shape) - 2 * len(good)
    quality = good.sum() / (len(good) + false / 2)
    return {"DSB": float(np.mean(ratios)), "AJI": shared / union, "PQ": quality}


def test_equal_to_the_definitions_on_random_pictures() -> None:
    for seed in range(60):
        pair = pictures(seed)
        got = numbers(scores_of(*coco_of([pair])))
        expected = slowly(*pair)
        assert {name: got[name] for name in expected} == pytest.approx(expected, abs=1e-12), seed
        assert got["PQ"] == pytest.approx(got["DQ"] * got["SQ"]) and got["F1"] == pytest.approx(got["DQ"])


def test_equal_where_images_are_matched_in_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = coco_of([pictures(seed) for seed in range(6)])
    whole = numbers(scores_of(*labels))
    monkeypatch.setattr(fields, "MOST_PAIRS", 9)
    monkeypatch.setattr(fields, "fields_of", partial(fields.fields_of, at_most=2))
    truth = ground_truth_of(read_coco(labels[0]))
    assert len(Compared.of(truth, labels[1], "mask", 100).image_of) > 12, "six images"
    assert numbers(scores_of(*labels)) == pytest.approx(whole, abs=1e-12)


ORIGINALS = {
    "DSB": 0.22116889924007127,
    "AJI": 0.49361755396281304,
    "PQ": 0.4870647206074935,
    "DQ": 0.7002768101463753,
    "SQ": 0.6924052353633702,
    "F1": 0.7066115702479339,
}
"""Of the first 20 of these pictures: DSB (accuracy by image, mean over thresholds), F1 and PQ by stardist 0.9.2
(matching_dataset; it also takes an IoU that equals a threshold, so thresholds were 1e-6 higher); AJI, DQ and SQ by
vqdang/hover_net (metrics/stats_utils.py, commit 5847ebf), means over images."""


def test_equal_to_the_originals() -> None:
    got = numbers(scores_of(*coco_of([pictures(seed) for seed in range(20)])))
    assert got == pytest.approx(ORIGINALS, abs=2e-6), "they add 1e-6 to a divisor"


def content_with(counts: Sequence[int], classes: int = 1, box_only: bool = False) -> dict[str, Any]:
    """Images with so many objects."""
    images = [{"id": i, "height": 20, "width": 200} for i in range(len(counts))]
    pairs = [(image, number) for image, count in enumerate(counts) for number in range(count)]
    objects = [
        {
            "id": place + 1,
            "image_id": image,
            "category_id": 1 + number % classes,
            "bbox": [5 * number, 2, 4, 8],
            "iscrowd": 0,
            "segmentation": [] if box_only else [[5 * number, 2, 5 * number + 4, 2, 5 * number + 4, 10]],
        }
        for place, (image, number) in enumerate(pairs)
    ]
    categories = [{"id": k + 1, "name": f"class {k}"} for k in range(classes)]
    return {"images": images, "annotations": objects, "categories": categories}


def test_which_data_are_cells() -> None:
    def verdict(*arguments: Any, **options: Any) -> bool:
        return are_cells(ground_truth_of(read_coco(content_with(*arguments, **options), need_masks=False)))

    assert verdict([10, 12, 0, 0, 0]) and verdict([3, 10, 40]) and not verdict([9, 9, 40])
    assert not verdict([20, 20], 2) and not verdict([20], box_only=True) and not verdict([0, 0])


def test_they_reach_metrics_report_and_intervals(tmp_path: Path) -> None:
    content, results = coco_of([pictures(seed) for seed in range(25)])
    metrics = evaluate_predictions(content, results, tmp_path, score_threshold=0.3, say=lambda _: None)
    boundary, cells = metrics["mask"].further
    assert (boundary.key, cells.key, "at least 0.3" in cells.note) == ("boundary", "cells", True)
    written = load_json(tmp_path / "metrics.json")["further"]["mask"]["cells"]
    low, high = written["intervals"]["AJI"]
    assert low < written["AJI"] == cells["AJI"] < high and written["intervals"]["F1"] is not None
    few = evaluate_coco(ground_truth_of(read_coco(content_with([3, 3]))), [], explain=True)
    assert [one.key for one in few["mask"].further] == ["boundary"]


def test_intervals_are_those_of_a_mean() -> None:
    """Each half scales its own images: the error of a mean of 40 numbers is s / sqrt(40)."""
    pairs = [pictures(seed) for seed in range(40)]
    own = [numbers(scores_of(*coco_of([pair])))["AJI"] for pair in pairs]
    error = scores_of(*coco_of(pairs)).numbers["AJI"].standard_error
    assert error == pytest.approx(np.std(own, ddof=1) / math.sqrt(40), rel=0.2)
