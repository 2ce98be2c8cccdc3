from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation import evaluate_coco
from maskrcnn.evaluation.explanation_page import explanation_sections
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.scoring import ground_truth_of

KNOWN: list[tuple[IouType, str, list[int]]] = [
    ("box", "fakebbox100", [83, 1, 0, 1, 0, 97]),
    ("mask", "fakesegm100", [76, 82, 7, 0, 4, 109]),
]


@pytest.mark.parametrize(("kind", "name", "counts"), KNOWN)
def test_kinds_of_errors_are_those_that_tidecv_counts(
    kind: IouType, name: str, counts: list[int], shared: Path
) -> None:
    folder = shared / "data" / "cocoapi_eval"
    truth = ground_truth_of(read_coco(folder / "instances_val2014_100.json", need_masks=kind == "mask"))
    results = json.loads((folder / f"instances_val2014_{name}_results.json").read_text())
    found = evaluate_coco(truth, results, 100, (kind,), explain=True)[kind].explanation
    assert found is not None and found.errors is not None
    assert list(found.errors.kinds) == ["classification", "localisation", "both", "double", "background", "missed"]
    assert [one.count for one in found.errors.kinds.values()] == counts
    assert found.errors.confusion.shape == (81, 81) and len(found.slices) == 6
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["errors"]["missed"]["count"] == counts[-1]
    page = explanation_sections(found, kind)
    assert "predicted as" in page and "thirds of this data" in page


def test_of_four_objects_by_hand(truth: GroundTruth, predictions: list[dict[str, Any]]) -> None:
    """One of three objects is missed, one of three detections is wrong."""
    found = evaluate_coco(truth, predictions, 5, ("box",), explain=True)["box"].explanation
    assert found is not None and found.errors is not None
    assert {name: kind.count for name, kind in found.errors.kinds.items() if kind.count} == {
        "background": 1,
        "missed": 1,
    }
    assert found.errors.confusion.tolist() == [[2, 0, 1], [0, 0, 0], [1, 0, 0]] and found.errors.threshold == 0.7
    first = found.errors.class_names[0]
    assert found.to_dict()["confusion"]["counts"] == [[first, first, 2], [first, None, 1], [None, first, 1]]
    rows = {row.score: row for row in found.thresholds}
    assert (rows[0.5].precision, rows[0.5].recall, rows[0.5].f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (rows[0.5].count_error, rows[0.5].count_error_size) == (0, 0)
    assert rows[0.8].recall == pytest.approx(1 / 3) and rows[0.8].count_error == pytest.approx(-1 / 3)
    assert rows[0.9].count_error_size == pytest.approx(2 / 3)
    page = explanation_sections(found, "box")
    assert "<script>" not in page and "score of at least 0.7" in page


def test_nothing_found(truth: GroundTruth) -> None:
    found = evaluate_coco(truth, [], 5, ("box",), explain=True)["box"].explanation
    assert found is not None and found.errors is None
    assert math.isnan(found.thresholds[0].precision) and found.thresholds[0].recall == 0
    assert json.dumps(found.to_dict(), allow_nan=False) and "too many" in explanation_sections(found, "box")
