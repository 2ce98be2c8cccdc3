"""Given results against labels, beside pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.evaluation.metrics import IouType
from maskrcnn.scoring import evaluate_predictions

KINDS: dict[IouType, str] = {"mask": "segm", "box": "bbox", "keypoints": "keypoints"}


def by_pycocotools(annotations: Path, results: Path, kind: IouType) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        evaluation = COCOeval(truth, truth.loadRes(str(results)), KINDS[kind])
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


def ours(annotations: Path, results: Path, kind: IouType) -> list[float]:
    metrics = evaluate_predictions(annotations, results, say=lambda line: None)
    assert list(metrics.by_type) == [kind]
    return list(metrics[kind].summary.values())[: 10 if kind == "keypoints" else 12]


@pytest.mark.parametrize(("kind", "results"), [("box", "fakebbox"), ("mask", "fakesegm")])
def test_masks_and_boxes_as_pycocotools_counts_them(shared: Path, kind: IouType, results: str) -> None:
    folder = shared / "data" / "cocoapi_eval"
    files = folder / "instances_val2014_100.json", folder / f"instances_val2014_{results}100_results.json"
    np.testing.assert_allclose(ours(*files, kind), by_pycocotools(*files, kind), atol=1e-9)


def moved_points(annotations: Path, generator: np.random.Generator) -> list[dict[str, Any]]:
    """Each person that has keypoints, its points moved by some pixels, with a random score."""
    found = []
    for annotation in json.loads(annotations.read_text())["annotations"]:
        if annotation.get("num_keypoints"):
            points = np.array(annotation["keypoints"], dtype=float).reshape(-1, 3)
            points[:, :2] += generator.normal(0, 4, points[:, :2].shape)
            points[:, 2] = 1
            row = {key: annotation[key] for key in ("image_id", "category_id")}
            found.append({**row, "keypoints": points.flatten().tolist(), "score": float(generator.random())})
    return found


def test_keypoints_as_pycocotools_counts_them(shared: Path, tmp_path: Path) -> None:
    """Results without boxes: what they hold is compared, and nothing else."""
    annotations = shared / "data/coco_mini/person_keypoints_val.json"
    results = tmp_path / "found.json"
    results.write_text(json.dumps(moved_points(annotations, np.random.default_rng(0))))
    expected = by_pycocotools(annotations, results, "keypoints")
    assert 0.2 < expected[0] < 0.95
    np.testing.assert_allclose(ours(annotations, results, "keypoints"), expected, atol=1e-9)
