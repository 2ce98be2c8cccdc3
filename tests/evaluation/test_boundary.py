"""Boundary AP against pycocotools with the definition in place of its IoU, and against the original's numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval
from tests.evaluation.toys import ToyMaker, pycocotools_arrays

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation import evaluate_coco
from maskrcnn.evaluation.boundary import BoundaryAP, boundary_width
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.intervals import Halves
from maskrcnn.evaluation.metrics import Metrics
from maskrcnn.evaluation.scenes import scenes
from maskrcnn.evaluation.scores import Scores
from maskrcnn.evaluation.slices import groups_of
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.json_values import load_json
from maskrcnn.scoring import evaluate_predictions, ground_truth_of


class BoundaryEval(COCOeval):
    """IoU is the smaller one of mask and boundary; the boundary is what repeated erosion of the whole frame takes."""

    def computeIoU(self, image: int, category: int) -> Any:
        ious = np.array(super().computeIoU(image, category))
        truths, found = self._gts[image, category], self._dts[image, category]
        if ious.size == 0:
            return ious
        order = np.argsort([-d["score"] for d in found], kind="mergesort")[: self.params.maxDets[-1]]
        rims = [[rim(one["segmentation"]) for one in some] for some in ([found[i] for i in order], truths)]
        counts = np.array([not truth["iscrowd"] for truth in truths])
        ious[:, counts] = np.minimum(ious, coco_mask.iou(*rims, [0] * len(truths)))[:, counts]
        return ious


def rim(segmentation: dict[str, Any]) -> dict[str, Any]:
    bitmap = coco_mask.decode(segmentation)
    steps = max(1, round(0.02 * math.hypot(*bitmap.shape)))
    inner = cv2.erode(np.pad(bitmap, 1), np.ones((3, 3), np.uint8), iterations=steps)[1:-1, 1:-1]
    return coco_mask.encode(np.asfortranarray(bitmap - inner))


def boundary_scores(truth: GroundTruth, results: list[dict[str, Any]], limit: int = 100) -> Scores:
    metric = BoundaryAP(truth.categories.names, limit)
    for scene in scenes(Compared.of(truth, results, "mask", 100)):
        metric.add(scene)
    return metric.scores(Halves.of(groups_of(truth)))


@pytest.mark.parametrize("block", range(4))
def test_equal_to_the_definition_on_random_sets(block: int) -> None:
    """Crowds, ties, classes without objects, areas on the edge of a range; images with and without detections."""
    for seed in range(30 * block, 30 * block + 30):
        toy, limit = ToyMaker(seed).make(), (100, 3, 1)[seed % 3]
        precision = pycocotools_arrays(toy, "mask", [limit], BoundaryEval)["precision"]
        found = boundary_scores(ground_truth_of(read_coco(toy[0])), toy[1], limit)
        views = [precision[..., 0, 0], precision[0, :, :, 0, 0], precision[5, :, :, 0, 0]]
        views += [precision[..., area, 0] for area in (1, 2, 3)]
        expected = [float(view[view > -1].mean()) if (view > -1).any() else math.nan for view in views]
        assert list(found.numbers) == ["AP", "AP50", "AP75", "APs", "APm", "APl"]
        np.testing.assert_allclose(
            [found[name] for name in found.numbers], expected, rtol=0, atol=1e-12, err_msg=str(seed)
        )


ORIGINAL = (0.22639400050237551, 0.3775010774391817, 0.22557984624218536)
ORIGINAL_BY_SIZE = (0.3873740315997837, 0.27236740312792934, 0.07554378414806896)
"""What bowenc0221/boundary-iou-api (commit 37d2558) prints for the sample: AP, AP50, AP75; small, medium, large."""


def test_equal_to_the_original_on_cocos_sample(shared: Path) -> None:
    folder = shared / "data" / "cocoapi_eval"
    truth = ground_truth_of(read_coco(folder / "instances_val2014_100.json"))
    results = load_json(folder / "instances_val2014_fakesegm100_results.json")
    found = boundary_scores(truth, results)
    assert [found[name] for name in found.numbers] == pytest.approx([*ORIGINAL, *ORIGINAL_BY_SIZE], abs=1e-12)
    assert len(found.classes) == 70, "those with objects"
    assert np.mean([own["AP"].estimate for own in found.classes.values()]) == pytest.approx(ORIGINAL[0])


def test_width_by_the_diagonal() -> None:
    assert [boundary_width(size) for size in ((30, 40), (60, 80), (300, 400), (480, 640), (3000, 4000))] == [
        1,
        2,
        10,
        16,
        100,
    ]


def test_truth_against_itself_is_perfect_and_a_rough_outline_is_not() -> None:
    """A square of 60 x 60 in 200 x 200 pixels (d = 6), found without its rim of 2."""
    ring = [50, 50, 110, 50, 110, 110, 50, 110]
    inner = [52, 52, 108, 52, 108, 108, 52, 108]
    labels = {
        "images": [{"id": 1, "width": 200, "height": 200}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [ring], "bbox": [50, 50, 60, 60], "iscrowd": 0}
        ],
        "categories": [{"id": 1, "name": "a"}],
    }
    found = {"image_id": 1, "category_id": 1, "score": 0.9}
    perfect = evaluate(labels, [{**found, "segmentation": [ring]}])["mask"]
    assert perfect.further[0]["AP"] == 1
    rough = evaluate(labels, [{**found, "segmentation": [inner]}])["mask"]
    assert pytest.approx(0.8711, abs=1e-4) == 56**2 / 60**2 and rough["AP"] == pytest.approx(8 / 10)
    shared, rims = 56**2 - 48**2, 60**2 - 48**2 + 56**2 - 44**2
    assert shared / (rims - shared) == 0.5
    assert [rough.further[0][name] for name in ("AP", "AP50", "AP75", "APm")] == pytest.approx([0.1, 1, 0, 0.1])


def evaluate(labels: dict[str, Any], found: list[dict[str, Any]]) -> Metrics:
    return evaluate_coco(ground_truth_of(read_coco(labels)), found, 100, ("mask",), explain=True)


def test_only_where_somebody_asks_and_there_are_masks(tmp_path: Path) -> None:
    toy, lines = ToyMaker(3).make(), []
    assert evaluate_predictions(*toy, say=lambda _: None)["mask"].further == ()
    metrics = evaluate_predictions(*toy, tmp_path, say=lines.append)
    assert [scores.key for scores in metrics["mask"].further] == ["boundary"] and metrics["box"].further == ()
    written = load_json(tmp_path / "metrics.json")["further"]["mask"]["boundary"]
    assert written["AP"] == metrics["mask"].further[0]["AP"] and written["intervals"]["AP"] is None, "few images"
    assert {row["name"] for row in written["per_class"]} <= {"class 0", "class 1", "class 2"}
    assert f"\n\nboundary AP     AP   AP50   AP75    APs    APm  APl\nmask         {written['AP']:.3f}" in lines[0]
