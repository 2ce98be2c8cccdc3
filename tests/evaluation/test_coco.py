"""The metrics against pycocotools, against known answers, and where pycocotools itself goes wrong."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.evaluation.toys import ToyMaker, pycocotools_arrays

from maskrcnn.errors import UserError
from maskrcnn.evaluation import IouType, Metrics
from maskrcnn.scoring import evaluate_predictions

LIMITS = (100, 3, 10, 500)
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def mean(values: np.ndarray) -> float:
    return float(values[values > -1].mean()) if (values > -1).any() else math.nan


def expected_summary(arrays: dict[str, Any], limits: list[int]) -> dict[str, float]:
    precision, recall = arrays["precision"], arrays["recall"]
    views = (precision[..., 0, -1], precision[0, ..., 0, -1], precision[5, ..., 0, -1])
    sizes = tuple(precision[..., a, -1] for a in (1, 2, 3))
    summary = {name: mean(view) for name, view in zip(NAMES, views + sizes, strict=True)}
    summary |= {f"AR{limit}": mean(recall[..., 0, m]) for m, limit in enumerate(limits)}
    return summary | {name: mean(recall[..., a, -1]) for a, name in enumerate(("ARs", "ARm", "ARl"), start=1)}


@pytest.mark.parametrize("block", range(10))
@pytest.mark.parametrize("iou_type", ["mask", "box"])
def test_equal_to_pycocotools_on_random_sets(iou_type: IouType, block: int) -> None:
    for seed in range(20 * block, 20 * block + 20):
        toy, limit = ToyMaker(seed).make(), LIMITS[seed % len(LIMITS)]
        metrics = evaluate_predictions(*toy, max_detections=limit, iou_types=(iou_type,))[iou_type]
        limits = sorted({1, min(10, limit), min(100, limit), limit})
        arrays = pycocotools_arrays(toy, iou_type, limits)
        ours = {k: v for k, v in metrics.summary.items() if not k.startswith("per_image")}
        assert list(ours) == list(expected_summary(arrays, limits))
        np.testing.assert_allclose(
            list(ours.values()), list(expected_summary(arrays, limits).values()), rtol=0, atol=1e-12, err_msg=str(seed)
        )
        for k, row in enumerate(metrics.classes):
            whole = arrays["precision"][:, :, k, 0, -1]
            expected = [mean(whole), mean(whole[0]), mean(whole[5]), mean(arrays["recall"][:, k, 0, -1])]
            np.testing.assert_allclose([row.ap, row.ap50, row.ap75, row.ar], expected, rtol=0, atol=1e-12)
            assert row.category_id == 5 * k + 2
        for curve, rows in zip(metrics.curves, (slice(0, 1), slice(5, 6), slice(None)), strict=True):
            levels = arrays["precision"][rows, :, :, 0, -1].transpose(1, 0, 2)
            np.testing.assert_allclose(curve.precision, [mean(level) for level in levels], rtol=0, atol=1e-12)


def test_random_sets_hold_what_is_awkward() -> None:
    toys = [ToyMaker(seed).make() for seed in range(200)]
    truths = [truth for toy, _ in toys for truth in toy["annotations"]]
    assert any(truth["iscrowd"] for truth in truths) and any(truth["area"] == 1024 for truth in truths)
    assert any(not found for _, found in toys) and any(not toy["annotations"] for toy, _ in toys)
    assert any(len({d["score"] for d in found}) < len(found) for _, found in toys)
    assert sum(bool(evaluate_predictions(*toy, max_detections=3, iou_types=("box",)).warnings) for toy in toys[:40]) > 4


PUBLISHED = {
    "box": [
        *(0.504581, 0.696973, 0.572982, 0.585626, 0.519400, 0.501398),
        *(0.386813, 0.593680, 0.595353, 0.639811, 0.566421, 0.564291),
    ],
    "mask": [
        *(0.319545, 0.562288, 0.298927, 0.387374, 0.310183, 0.326934),
        *(0.268230, 0.415449, 0.416839, 0.469450, 0.376759, 0.381472),
    ],
}


@pytest.mark.parametrize(("iou_type", "results"), [("box", "fakebbox"), ("mask", "fakesegm")])
def test_published_answers(shared: Path, iou_type: IouType, results: str) -> None:
    folder = shared / "data" / "cocoapi_eval"
    metrics = evaluate_predictions(
        folder / "instances_val2014_100.json",
        folder / f"instances_val2014_{results}100_results.json",
        iou_types=(iou_type,),
    )
    names = list(metrics[iou_type].summary)[:12]
    assert names == [*NAMES, "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
    assert [round(metrics[iou_type][name], 6) for name in names] == PUBLISHED[iou_type]


def square(x: float, y: float, side: float = 10, **more: object) -> dict[str, Any]:
    ring = [x, y, x + side, y, x + side, y + side, x, y + side]
    return {"image_id": 1, "category_id": 1, "bbox": [x, y, side, side], "segmentation": [ring], **more}


def data(*objects: dict[str, Any], num_images: int = 1) -> dict[str, Any]:
    return {
        "images": [{"id": i, "width": 400, "height": 300} for i in range(1, num_images + 1)],
        "categories": [{"id": 1, "name": "cell"}, {"id": 2, "name": "dish"}],
        "annotations": [{"id": i, "iscrowd": 0, "area": o["bbox"][2] ** 2, **o} for i, o in enumerate(objects)],
    }


def row_of(count: int, **more: object) -> list[dict[str, Any]]:
    return [square(12 * (i % 30), 12 * (i // 30), **more) for i in range(count)]


def test_all_of_120_perfect_detections_count_when_asked_for() -> None:
    truth, found = data(*row_of(120)), row_of(120, score=0.9)
    many = evaluate_predictions(truth, found, max_detections=200)
    assert many["mask"]["AP"] == many["box"]["AP"] == pytest.approx(1.0) and many["mask"]["AR200"] == 1.0
    assert many.warnings == () and many.max_detections == 200
    few = evaluate_predictions(truth, found, max_detections=100)
    assert few["mask"]["AP"] < 0.85 and few["mask"]["AR100"] == pytest.approx(100 / 120)
    assert few["mask"].classes[0].num_predictions == 100
    objects, predictions = few.warnings
    assert "max_detections = 100: 1 of 1 images have more objects of one class (up to 120)" in objects
    assert "more predictions of one class (up to 120): only the best 100 count" in predictions


def test_the_limit_holds_per_class_as_in_coco() -> None:
    both = [*row_of(6), *row_of(6, category_id=2)]
    metrics = evaluate_predictions(data(*both), [{**o, "score": 0.5} for o in both], max_detections=6)
    assert metrics["box"]["AR6"] == 1.0 and metrics.warnings == ()


@pytest.mark.parametrize(("limit", "names"), [(1, ["AR1"]), (5, ["AR1", "AR5"]), (10, ["AR1", "AR10"])])
def test_recalls_are_named_after_their_limit(limit: int, names: list[str]) -> None:
    metrics = evaluate_predictions(data(*row_of(4)), row_of(4, score=0.5), max_detections=limit)
    assert [name for name in metrics["mask"].summary if name[2:].isdigit() and name.startswith("AR")] == names
    assert metrics["mask"][names[-1]] == min(limit, 4) / 4


def test_a_mask_has_the_area_of_its_pixels_not_of_its_box() -> None:
    """A thin diagonal in a large box is small; pycocotools takes the box's area if the result has one."""
    ring = [0, 0, 5, 0, 200, 195, 200, 200]
    truth = data({**square(0, 0, 200), "segmentation": [ring], "area": 980})
    metrics = evaluate_predictions(truth, [{**square(0, 0, 200), "segmentation": [ring], "score": 1.0}])
    assert metrics["mask"]["APs"] == pytest.approx(1.0) and math.isnan(metrics["mask"]["APl"])
    far = {**square(0, 0, 200), "segmentation": [[300, 200, 310, 200, 310, 210, 300, 210]], "score": 1.0}
    twice = evaluate_predictions(truth, [far, {**far, "segmentation": [ring], "score": 0.5}])
    assert twice["mask"]["APs"] == pytest.approx(0.5), "the false alarm is small, so it counts against small objects"


def test_ids_of_any_kind() -> None:
    """Annotation id 0 is "no match" to pycocotools, hotcoco refuses negative image ids, and some ids repeat."""
    truth = data(square(0, 0), square(50, 0))
    assert truth["annotations"][0]["id"] == 0
    truth["images"][0]["id"] = -(2**40)
    truth["annotations"] = [{**a, "image_id": float(-(2**40))} for a in truth["annotations"]]
    found = [{**square(x, 0, score=0.8), "image_id": -(2**40)} for x in (0, 50)]
    metrics = evaluate_predictions(truth, found)
    assert metrics["mask"]["AP"] == pytest.approx(1.0) and metrics["box"].images[0].image_id == -(2**40)
    for annotation in truth["annotations"]:
        annotation["id"] = 5
    assert evaluate_predictions(truth, found)["mask"]["AR100"] == 1.0


def test_missing_area_and_crowd_flag_are_filled_in() -> None:
    truth = data(square(0, 0, 50))
    del truth["annotations"][0]["area"], truth["annotations"][0]["iscrowd"]
    metrics = evaluate_predictions(truth, [square(0, 0, 50, score=0.5)])
    assert metrics["mask"]["APm"] == metrics["box"]["APm"] == pytest.approx(1.0)
    assert math.isnan(metrics["mask"]["APs"])


def test_nothing_to_find_is_null_in_json() -> None:
    for truth, found in ((data(), []), (data(), [square(0, 0, score=0.5)])):
        content = evaluate_predictions(truth, found).to_dict()
        assert content["mask"]["AP"] is None and content["per_class"]["box"][0]["AP"] is None
        json.dumps(content, allow_nan=False)


def test_nothing_found_is_zero() -> None:
    metrics = evaluate_predictions(data(square(0, 0)), [])
    assert metrics["mask"]["AP"] == 0.0 and metrics["box"]["AR100"] == 0.0
    assert math.isnan(metrics["mask"].classes[1].ap), "no object of that class"


def test_crowd_detections_are_neither_right_nor_wrong() -> None:
    truth = data(square(0, 0), square(100, 100, 80, iscrowd=1))
    found = [square(110, 110, score=0.9), square(120, 120, score=0.9), square(0, 0, score=0.8)]
    metrics = evaluate_predictions(truth, found)
    image = metrics["mask"].images[0]
    assert metrics["mask"]["AP"] == pytest.approx(1.0) and metrics["mask"].classes[0].num_truths == 1
    assert (image.true_positives, image.false_positives, image.false_negatives) == (1, 0, 0)


def test_unusable_annotations_are_told_of_and_never_make_a_right_detection_wrong() -> None:
    truth = data(square(0, 0), square(50, 0), square(100, 0), square(150, 0), square(200, 0))
    first, second, third, fourth, _ = truth["annotations"]
    first["category_id"] = 9
    second["image_id"] = "x"
    third["segmentation"] = [[1, 2, 3, 4]]
    fourth["segmentation"] = {"size": [300, 400], "counts": "~~~"}
    metrics = evaluate_predictions(truth, [square(x, 0, score=0.5) for x in (100, 150, 200)])
    for iou_type in ("mask", "box"):
        assert metrics[iou_type]["AP"] == pytest.approx(1.0) and metrics[iou_type]["AR100"] == 1.0
        image = metrics[iou_type].images[0]
        assert (image.true_positives, image.false_positives, image.false_negatives) == (1, 0, 0)
    told = "\n".join(metrics.warnings)
    assert all(fault in told for fault in ("1 x unknown category", "1 x unknown image", "2 x no usable mask"))


def test_one_type_alone_needs_nothing_of_the_other() -> None:
    truth = data(square(0, 0))
    boxes = [{k: v for k, v in square(0, 0, score=0.5).items() if k != "segmentation"}]
    metrics = evaluate_predictions(truth, boxes, iou_types=("box",))
    assert list(metrics.by_type) == ["box"] and metrics["box"]["AP"] == pytest.approx(1.0)
    assert "mask" not in metrics.to_dict()


def test_inputs_stay_as_they_were() -> None:
    toy = ToyMaker(3).make()
    before = copy.deepcopy(toy)
    evaluate_predictions(*toy)
    assert toy == before


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(UserError, match="max_detections: expected at least 1, got 0"):
        evaluate_predictions(data(), [], max_detections=0)


def test_settings_are_part_of_the_result() -> None:
    metrics: Metrics = evaluate_predictions(data(num_images=3), [], max_detections=7, score_threshold=0.25)
    assert metrics.to_dict()["settings"] == {
        "max_detections": 7,
        "score_threshold": 0.25,
        "num_images": 3,
        "evaluator": metrics.evaluator,
    }
    assert metrics.evaluator.startswith("hotcoco ")
