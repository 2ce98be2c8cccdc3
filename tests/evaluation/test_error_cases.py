from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.error_cases import error_cases, worst_cases
from maskrcnn.evaluation.explanation import ErrorCase
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.scoring import ground_truth_of

NAMES = {
    "classification": "Cls",
    "localisation": "Loc",
    "both": "Both",
    "double": "Dupe",
    "background": "Bkg",
    "missed": "Miss",
}


def cases_of(
    truth: GroundTruth, results: list[dict[str, Any]], kind: IouType, limit: int = 100
) -> tuple[list[ErrorCase], dict[str, int]]:
    """All errors, and hotcoco's counts."""
    compared = Compared.of(truth, results, kind, limit)
    evaluator = compared.evaluator()
    evaluator.params.max_dets = [limit]
    evaluator.evaluate()
    evaluator.accumulate()
    counts = evaluator.tide_errors()["counts"]
    return [case for own in error_cases(compared, evaluator) for case in own], {n: counts[k] for n, k in NAMES.items()}


@pytest.mark.parametrize(
    ("kind", "name", "known"),
    [("box", "fakebbox100", [83, 1, 0, 1, 0, 97]), ("mask", "fakesegm100", [76, 82, 7, 0, 4, 109])],
)
def test_the_kinds_are_those_that_hotcoco_and_tidecv_count(
    kind: IouType, name: str, known: list[int], shared: Path
) -> None:
    folder = shared / "data" / "cocoapi_eval"
    truth = ground_truth_of(read_coco(folder / "instances_val2014_100.json", need_masks=kind == "mask"))
    results = json.loads((folder / f"instances_val2014_{name}_results.json").read_text())
    cases, counts = cases_of(truth, results, kind)
    found = Counter(case.kind for case in cases)
    assert [found[name] for name in NAMES] == known == list(counts.values())
    for limit in (1, 3):
        cases, counts = cases_of(truth, results, kind, limit)
        assert Counter(case.kind for case in cases) == Counter(counts)


def entry(x: int, width: int = 20, category: int = 1, image: int = 1, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": [x, 0, width, 10], **more}


def truth_of(objects: list[dict[str, Any]], num_images: int = 1) -> GroundTruth:
    annotations = [{"id": i, "iscrowd": 0, "area": 10 * o["bbox"][2], **o} for i, o in enumerate(objects, start=1)]
    images = [{"id": i, "width": 600, "height": 40} for i in range(1, num_images + 1)]
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    return ground_truth_of(
        read_coco({"images": images, "annotations": annotations, "categories": categories}, need_masks=False)
    )


def test_each_kind_by_hand() -> None:
    objects = [entry(x) for x in (0, 100, 200, 300, 400)] + [entry(500, iscrowd=1)]
    found = [
        entry(0, score=0.9),  # right
        entry(2, score=0.8),  # the first once more, IoU 18 / 22
        entry(110, score=0.7),  # half beside the second, IoU 1 / 3
        entry(201, category=2, score=0.6),  # the third, as b, IoU 19 / 21
        entry(310, category=2, score=0.5),  # half beside the fourth, as b
        entry(460, score=0.4),  # where nothing is
        entry(500, score=0.3),  # in the crowd
    ]
    cases, counts = cases_of(truth_of(objects), found, "box")
    assert [(c.kind, c.found, c.truth, c.better) for c in cases] == [
        ("double", 1, 0, 0),
        ("localisation", 2, 1, None),
        ("classification", 3, 2, None),
        ("both", 4, 3, None),
        ("background", 5, None, None),
        ("missed", None, 3, None),
        ("missed", None, 4, None),
    ]
    assert [c.iou for c in cases] == pytest.approx([18 / 22, 1 / 3, 19 / 21, 1 / 3, 0, 0, 0])
    assert [c.weight for c in cases] == pytest.approx([0.8, 0.7, 0.6, 0.5, 0.4, 200, 200])
    assert counts == {name: 2 if name == "missed" else 1 for name in counts}


def test_images_without_objects_or_detections() -> None:
    truth = truth_of([entry(0, image=1)], num_images=3)
    cases, _ = cases_of(truth, [entry(5, image=3, score=0.5)], "box")
    assert [(c.kind, c.image) for c in cases] == [("missed", 0), ("background", 2)]


def test_the_worst_are_chosen_by_score_and_size_and_spread_over_images() -> None:
    wrong = [
        entry(20 * place, 10, image=image, score=0.9 - 0.1 * image + 0.01 * place)
        for image in range(1, 6)
        for place in range(3)
    ]
    truth = truth_of([entry(300, width, image=6) for width in (10, 30, 20)], num_images=6)
    compared = Compared.of(truth, wrong, "box", 100)
    evaluator = compared.evaluator()
    evaluator.evaluate()
    worst = worst_cases(error_cases(compared, evaluator))
    chosen = [(case.image + 1, case.found) for case in worst["background"]]
    assert chosen == [(1, 2), (1, 1), (2, 5), (2, 4), (3, 8), (3, 7)]
    assert [case.weight for case in worst["missed"]] == [300, 200], "two of one image"
