"""LVIS AP against numbers worked out by hand and the original's on a real sample."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.coco import read_coco, without_classes
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.intervals import Halves
from maskrcnn.evaluation.lvis import LVIS_DETECTIONS, lvis_scores
from maskrcnn.evaluation.scores import Scores
from maskrcnn.evaluation.slices import groups_of
from maskrcnn.evaluation_run import EvaluationRun
from maskrcnn.json_values import load_json
from maskrcnn.scoring import evaluate_predictions, ground_truth_of

KINDS = ("mask", "box")


def noisy_results(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Objects moved by a few pixels, some of them twice or of another class, and three images with 400 besides."""
    random, found = np.random.default_rng(0), []
    used = sorted({entry["category_id"] for entry in content["annotations"]})

    def add(entry: dict[str, Any], rings: list[list[float]], box: list[float], category: int, best: float) -> None:
        score = round(float(random.random()) * best, 3)
        found.append({**entry, "category_id": category, "score": score, "segmentation": rings, "bbox": box})

    for entry in content["annotations"]:
        for _ in range(int(random.integers(0, 3))):
            dx, dy = random.integers(-6, 7, 2).tolist()
            rings = [[value + (dy if i % 2 else dx) for i, value in enumerate(ring)] for ring in entry["segmentation"]]
            x, y, width, height = entry["bbox"]
            category = entry["category_id"] if random.random() < 0.85 else int(random.choice(used))
            add({"image_id": entry["image_id"]}, rings, [x + dx, y + dy, width, height], category, 1.0)
    for image in content["images"][:3]:
        near = image["neg_category_ids"] + image["not_exhaustive_category_ids"] + used[:5]
        for _ in range(400):
            x, y = int(random.integers(0, image["width"] - 40)), int(random.integers(0, image["height"] - 40))
            width, height = random.integers(5, 40, 2).tolist()
            ring = [x, y, x + width, y, x + width, y + height, x, y + height]
            add({"image_id": image["id"]}, [ring], [x, y, width, height], int(random.choice(near)), 0.9)
    return found


NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf", "AR300", "ARs", "ARm", "ARl")

ORIGINAL = {
    "mask": (
        *(0.23628674744281458, 0.36005915111464876, 0.23830288335369107),
        *(0.0677009358738418, 0.2785406585771359, 0.542903333811642),
        *(0.8999999999999999, 0.20743801403949913, 0.23755560750282895),
        *(0.2729922404408341, 0.10006473711893049, 0.30301685303001097, 0.5541867954911434),
    ),
    "box": (
        *(0.3178951561721417, 0.44559420751195444, 0.33355633596905093),
        *(0.16197224259097556, 0.39423493965937945, 0.5853192710575404),
        *(0.8999999999999999, 0.26483075331342654, 0.32424627090128383),
        *(0.3585410729560636, 0.19524221550661733, 0.4192954180322601, 0.6016333103289625),
    ),
}
"""What lvis 0.5.3 gives for these results, in the order of NAMES."""


def scores_of(content: dict[str, Any], results: list[dict[str, Any]], kind: Any = "box") -> Scores:
    truth = ground_truth_of(read_coco(content, need_masks=kind == "mask"))
    assert truth.federated is not None
    halves = Halves.of(groups_of(truth))
    return lvis_scores(
        Compared.of(truth, results, kind, LVIS_DETECTIONS), truth.federated, truth.categories.names, halves
    )


@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_the_original_on_a_real_sample(shared: Path, kind: Any) -> None:
    content = load_json(shared / "data/formats/lvis/lvis_val_100.json")
    results = noisy_results(content)
    if kind == "box":  # else the reader would put 13 boxes where their masks are
        content["annotations"] = [{**entry, "segmentation": []} for entry in content["annotations"]]
    scores = scores_of(content, results, kind)
    assert (scores.key, tuple(scores.numbers)) == ("lvis", NAMES)
    assert [scores[name] for name in NAMES] == pytest.approx(ORIGINAL[kind], abs=1e-12)
    frequent = {entry["id"] for entry in content["categories"] if entry["frequency"] == "f"}
    holders = {entry["image_id"] for entry in content["annotations"] if entry["category_id"] in frequent}
    assert scores.numbers["APf"].groups == len(holders) and scores.numbers["APf"].margin > 0
    assert scores.numbers["APr"].has_too_few_groups and not scores.numbers["AR300"].has_too_few_groups
    assert len(scores.classes) == len({entry["category_id"] for entry in content["annotations"]})


OBJECT, ELSEWHERE = [10, 10, 20, 20], [50, 50, 20, 20]


def content_of(
    objects: list[tuple[int, int]],
    absent: dict[int, list[int]],
    incomplete: dict[int, list[int]],
    frequencies: str = "rc",
) -> dict[str, Any]:
    """Three images, and objects by image and class at one place."""
    images = [
        {
            "id": i,
            "height": 100,
            "width": 100,
            "neg_category_ids": absent.get(i, []),
            "not_exhaustive_category_ids": incomplete.get(i, []),
        }
        for i in (1, 2, 3)
    ]
    annotations = [
        {"id": k, "image_id": image, "category_id": category, "bbox": OBJECT, "area": 400}
        for k, (image, category) in enumerate(objects, start=1)
    ]
    categories = [{"id": 7 + k, "name": f"class {k}", "frequency": f} for k, f in enumerate(frequencies)]
    return {"images": images, "annotations": annotations, "categories": categories}


def found(image: int, category: int, score: float, box: list[int] = OBJECT) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "score": score, "bbox": box}


def test_only_where_a_class_was_looked_for() -> None:
    """Nothing is said of class 7 in image 3, so what is found there does not count; in image 2 it is wrong."""
    results = [found(3, 7, 0.9), found(1, 7, 0.8)]
    assert scores_of(content_of([(1, 7)], {2: [7]}, {}), results)["AP"] == pytest.approx(1)
    assert scores_of(content_of([(1, 7)], {2: [7]}, {}), [*results, found(2, 7, 0.85)])["AP"] == pytest.approx(0.5)
    assert scores_of(content_of([(1, 7)], {3: [7]}, {}), results)["AP"] == pytest.approx(0.5)


def test_where_not_all_objects_are_labelled_nothing_is_wrong() -> None:
    results = [found(1, 7, 0.9, ELSEWHERE), found(1, 7, 0.8)]
    assert scores_of(content_of([(1, 7)], {}, {}), results)["AP"] == pytest.approx(0.5)
    assert scores_of(content_of([(1, 7)], {}, {1: [7]}), results)["AP"] == pytest.approx(1)
    assert scores_of(content_of([(1, 7)], {}, {1: [8]}), results)["AP"] == pytest.approx(0.5)


def test_300_detections_count_in_an_image_of_all_classes_together() -> None:
    content = content_of([(1, 7)], {1: [8]}, {})
    results = [found(1, 8, 0.9, ELSEWHERE)] * (LVIS_DETECTIONS - 1) + [found(1, 7, 0.5)]
    assert scores_of(content, results)["AR300"] == pytest.approx(1)
    assert scores_of(content, [found(1, 8, 0.9, ELSEWHERE), *results])["AR300"] == 0


def test_classes_by_frequency() -> None:
    content = content_of([(1, 7), (1, 8), (2, 8)], {}, {}, "rf")
    scores = scores_of(content, [found(1, 8, 0.9)])
    assert (scores["APr"], scores["APf"]) == pytest.approx((0, 51 / 101)) and math.isnan(scores["APc"])
    assert scores["AP"] == pytest.approx(51 / 202) and scores["AR300"] == pytest.approx(0.25)
    assert scores.to_dict()["APc"] is None and [*scores.classes] == ["class 0", "class 1"]
    unknown = scores_of({**content, "categories": [{"id": 7, "name": "a"}, {"id": 8, "name": "b"}]}, [found(1, 8, 0.9)])
    assert math.isnan(unknown["APr"]) and math.isnan(unknown["APf"]) and unknown["AP"] == scores["AP"]


def test_nothing_to_find_and_nothing_found() -> None:
    assert all(math.isnan(one.estimate) for one in scores_of(content_of([], {}, {}), []).numbers.values())
    assert scores_of(content_of([(1, 7)], {}, {}), [])["AP"] == 0


def test_only_data_that_say_so(tmp_path: Path) -> None:
    content = content_of([(1, 7)], {}, {})
    images = [{key: value for key, value in entry.items() if "category" not in key} for entry in content["images"]]
    plain = evaluate_predictions({**content, "images": images}, [found(1, 7, 0.9)], tmp_path, say=lambda _: None)
    assert plain["box"].further == () and load_json(tmp_path / "metrics.json")["further"] == {}
    evaluate_predictions(content, [found(1, 7, 0.9)], tmp_path, say=lambda _: None)
    assert load_json(tmp_path / "metrics.json")["further"]["box"]["lvis"]["AP"] == pytest.approx(1)
    data = read_coco(content, need_masks=False)
    assert without_classes(data).federated is None


def test_fewer_detections_than_lvis_counts_are_said() -> None:
    data = read_coco(content_of([(1, 7)], {}, {}), need_masks=False)
    told = [EvaluationRun(data, data.categories, 10**6, limit).warnings() for limit in (100, 300)]
    assert told == [["max_detections = 100: LVIS counts up to 300 in an image; raise it"], []]
