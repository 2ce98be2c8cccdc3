from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from maskrcnn.evaluation import Metrics


def test_to_dict_has_the_shape_of_metrics_json(metrics: Metrics) -> None:
    content = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert list(content) == [
        "mask",
        "box",
        "best_score_threshold",
        "intervals",
        "explanation",
        "further",
        "per_class",
        "settings",
        "warnings",
    ]
    coco = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR5", "ARs", "ARm", "ARl"]
    assert list(content["mask"]) == [*coco, "per_image_ap50", "per_image_ap"]
    assert content["mask"]["AP50"] == metrics["mask"]["AP50"] > 0.5
    assert content["mask"]["APl"] is None and math.isnan(metrics["mask"]["APl"])
    present, absent = content["per_class"]["box"]
    assert present["num_truths"] == 3 and present["num_predictions"] == 3 and present["AR"] == pytest.approx(2 / 3)
    assert content["best_score_threshold"]["mask"] == pytest.approx(0.7)
    assert absent["AP"] is None and absent["best_score_threshold"] is None and absent["num_truths"] == 0


def test_numbers_worked_out_by_hand(metrics: Metrics) -> None:
    """Right, wrong, right of three objects: precision 1 up to recall 1/3, 2/3 up to 2/3: (34 + 33 * 2/3) / 101."""
    assert metrics["mask"]["AP50"] == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert metrics["mask"]["per_image_ap50"] == pytest.approx((1 / 3 + 1 + 1) / 3)
    best = metrics["mask"].classes[0].best
    assert (best.score, best.precision, best.recall) == pytest.approx((0.7, 2 / 3, 2 / 3))


def test_warnings_are_kept(metrics: Metrics) -> None:
    assert replace(metrics, warnings=("mind this",)).to_dict()["warnings"] == ["mind this"]
