from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation import evaluate_coco
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.object_slices import AT_EDGE, INSIDE, matches_by_edge, matches_by_size
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.json_values import load_json
from maskrcnn.scoring import ground_truth_of

SIZE = (40, 60)


def entry(x: int, y: int, width: int, height: int, **more: Any) -> dict[str, Any]:
    bitmap = np.zeros(SIZE, np.uint8, order="F")
    bitmap[y : y + height, x : x + width] = 1
    mask = coco_mask.encode(bitmap)
    return {
        "image_id": 1,
        "category_id": 1,
        "bbox": [x, y, width, height],
        "segmentation": {"size": list(SIZE), "counts": mask["counts"].decode()},
        **more,
    }


@pytest.fixture
def edges() -> GroundTruth:
    """Two objects that an edge cuts, one that ends a pixel before, one in the middle."""
    places = [(0, 10, 8, 8), (52, 20, 8, 8), (20, 31, 8, 8), (20, 12, 8, 8)]
    objects = [entry(*place, id=i, iscrowd=0, area=64) for i, place in enumerate(places, start=1)]
    image = {"id": 1, "width": SIZE[1], "height": SIZE[0]}
    return ground_truth_of(
        read_coco({"images": [image], "annotations": objects, "categories": [{"id": 1, "name": "a"}]})
    )


@pytest.mark.parametrize("kind", ["mask", "box"])
def test_objects_that_the_edge_cuts_are_measured_apart(kind: IouType, edges: GroundTruth) -> None:
    """One of two is found at the edge beside one wrong detection there; inside both, and nothing wrong."""
    found = [
        entry(0, 10, 8, 8, score=0.9),
        entry(20, 31, 8, 8, score=0.8),
        entry(20, 12, 8, 8, score=0.7),
        entry(40, 0, 8, 8, score=0.6),
    ]
    matches = matches_by_edge(Compared.of(edges, found, kind, 100), 100)
    (at_edge,), (inside,) = matches[AT_EDGE], matches[INSIDE]
    assert (at_edge.num_truths, inside.num_truths) == (2, 2)
    assert at_edge.matched[0].tolist() == [True, True, True, False]
    assert at_edge.ignored[0].tolist() == [False, True, True, False]
    assert inside.ignored[0].tolist() == [True, False, False, True]
    rows = evaluate_coco(edges, found, 100, (kind,), explain=True)[kind].explanation
    assert rows is not None
    assert [(row.name, row.size) for row in rows.object_slices] == [(AT_EDGE, 2), (INSIDE, 2)]
    assert rows.object_slices[0].ap.estimate == pytest.approx(51 / 101) and rows.object_slices[1].ap.estimate == 1
    assert math.isnan(rows.object_slices[0].ap.standard_error), "one image"


def test_no_part_that_holds_everything(truth: GroundTruth, predictions: list[dict[str, Any]]) -> None:
    """All objects are small; one lies in the corner."""
    found = evaluate_coco(truth, predictions, 5, ("box",), explain=True)["box"].explanation
    assert found is not None and [row.name for row in found.object_slices] == [AT_EDGE, INSIDE]


@pytest.mark.parametrize(("kind", "name"), [("box", "fakebbox100"), ("mask", "fakesegm100")])
def test_sizes_have_the_aps_that_hotcoco_accumulates(kind: IouType, name: str, shared: Path) -> None:
    folder = shared / "data" / "cocoapi_eval"
    truth = ground_truth_of(read_coco(folder / "instances_val2014_100.json", need_masks=kind == "mask"))
    results = load_json(folder / f"instances_val2014_{name}_results.json")
    numbers = evaluate_coco(truth, results, 100, (kind,), explain=True)[kind]
    assert numbers.intervals is not None and numbers.explanation is not None
    for ap in ("AP", "AP50", "AP75", "APs", "APm", "APl"):
        interval = numbers.intervals.summary[ap]
        assert interval.estimate == pytest.approx(numbers[ap], abs=1e-12) and 0 < interval.standard_error < 0.1
    for row, sure in zip(numbers.classes, numbers.intervals.classes, strict=True):
        expected = [row.ap, row.ap50, row.ap75]
        np.testing.assert_allclose([sure[ap].estimate for ap in ("AP", "AP50", "AP75")], expected, atol=1e-12)
    sizes = {row.name.split(",")[0]: row for row in numbers.explanation.object_slices}
    assert sizes["medium"].ap.estimate == pytest.approx(numbers["APm"], abs=1e-12)
    assert sum(sizes[part].size for part in ("small", "medium", "large")) == sum(c.num_truths for c in numbers.classes)
    assert sizes[AT_EDGE].size + sizes[INSIDE].size == sum(c.num_truths for c in numbers.classes)


def test_keypoints_have_two_sizes_and_no_edge() -> None:
    keypoints = {"keypoints": ["a", "b"], "skeleton": []}
    image, category = {"id": 1, "width": 90, "height": 90}, {"id": 1, "name": "p", **keypoints}
    one = {"image_id": 1, "category_id": 1, "keypoints": [5, 5, 2, 40, 40, 2], "bbox": [0, 0, 50, 50]}
    truth = ground_truth_of(
        read_coco(
            {
                "images": [image],
                "categories": [category],
                "annotations": [{"id": 1, "area": 2500, "num_keypoints": 2, "iscrowd": 0, **one}],
            },
            need_masks=False,
        )
    )
    compared = Compared.of(truth, [{**one, "score": 0.5}], "keypoints", 100)
    assert list(matches_by_size(compared, 20)) == ["APm", "APl"]
    found = evaluate_coco(truth, [{**one, "score": 0.5}], 20, ("keypoints",), explain=True)["keypoints"]
    assert found.intervals is not None and found.intervals.summary["APm"].estimate == 1
    assert found.explanation is not None and found.explanation.object_slices == ()
