"""Keypoint metrics against pycocotools, and by hand."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
from base64 import b64decode
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.data.coco import read_coco
from maskrcnn.errors import UserError
from maskrcnn.evaluation.coco import evaluate_coco
from maskrcnn.evaluation.compared import Compared
from maskrcnn.evaluation.error_cases import error_cases
from maskrcnn.evaluation.gallery import make_gallery
from maskrcnn.evaluation.oks import OTHER_SIGMA, sigmas_of, similarities
from maskrcnn.evaluation.report import render_report
from maskrcnn.evaluation.table import format_table
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import judge
from maskrcnn.scoring import evaluate_predictions, ground_truth_of
from maskrcnn.structures import KeypointSchema
from maskrcnn.structures.large_image import WholeImage

Json = dict[str, Any]
NAMES = ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]
FACE = ["nose", "left_eye", "right_eye"]


def pycocotools_arrays(truth: Json, found: list[Json], limit: int, sigmas: list[float]) -> Json:
    truth, found = copy.deepcopy(truth), copy.deepcopy(found)
    with contextlib.redirect_stdout(io.StringIO()):
        dataset, results = COCO(), COCO()
        dataset.dataset, results.dataset = truth, {**truth, "annotations": []}
        dataset.createIndex()
        results.createIndex()
        evaluator = COCOeval(dataset, dataset.loadRes(found) if found else results, "keypoints")
        evaluator.params.catIds = [c["id"] for c in truth["categories"] if "keypoints" in c]
        evaluator.params.maxDets = [limit]
        evaluator.params.kpt_oks_sigmas = np.array(sigmas)
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval


def mean(values: np.ndarray) -> float:
    return float(values[values > -1].mean()) if (values > -1).any() else math.nan


def expected_summary(arrays: Json) -> list[float]:
    precision, recall = arrays["precision"][..., -1], arrays["recall"][..., -1]
    views = [precision[..., 0], precision[0, ..., 0], precision[5, ..., 0], precision[..., 1], precision[..., 2]]
    views += [recall[..., 0], recall[0, ..., 0], recall[5, ..., 0], recall[..., 1], recall[..., 2]]
    return [mean(view) for view in views]


def random_set(seed: int) -> tuple[Json, list[Json]]:
    """Persons of all sizes, some crowds, some without a labelled keypoint; found ones near them and elsewhere."""
    random = np.random.default_rng(seed)
    categories = [{"id": 3, "name": "person", "keypoints": FACE}, {"id": 4, "name": "car"}]
    categories += [{"id": 9, "name": "child", "keypoints": FACE}] if seed % 3 else []
    images = [{"id": 7 * i, "height": 400, "width": 400} for i in range(int(random.integers(1, 5)))]
    truths, found = [], []
    for image in images:
        for _ in range(random.choice([0, 1, 3, 8, 30])):
            x, y = random.integers(0, 200, 2)
            width, height = random.integers(8, 180, 2)
            keypoints = np.stack(
                [x + random.random(3) * width, y + random.random(3) * height, random.integers(0, 3, 3)]
            )
            is_crowd = random.random() < 0.1  # COCO labels no keypoints of these
            keypoints *= (keypoints[2] > 0) & (random.random() < 0.8) & (not is_crowd)
            entry = {"image_id": image["id"], "category_id": int(random.choice([c["id"] for c in categories]))}
            truths.append(
                {
                    **entry,
                    "id": len(truths) + 1,
                    "bbox": [float(v) for v in (x, y, width, height)],
                    "area": float(width * height * random.choice([0.5, 1.0])),
                    "iscrowd": int(is_crowd),
                    "keypoints": keypoints.T.flatten().tolist(),
                    "num_keypoints": int((keypoints[2] > 0).sum()),
                }
            )
            for _ in range(random.choice([0, 1, 1, 2])):
                moved = keypoints + np.array([[1.0], [1.0], [0]]) * random.normal(0, random.choice([0.5, 5]), (3, 3))
                score = float(random.random() if seed % 2 else random.choice([0.25, 0.5, 0.75]))
                found.append({**entry, "score": score, "keypoints": moved.T.flatten().tolist()})
    random.shuffle(found)  # type: ignore[arg-type]
    return {"images": images, "categories": categories, "annotations": truths}, found


@pytest.mark.parametrize("block", range(5))
def test_equal_to_pycocotools_on_random_sets(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        (truth, found), limit = random_set(seed), (100, 3)[seed % 2]
        metrics = evaluate_predictions(truth, found, max_detections=limit, iou_types=("keypoints",))["keypoints"]
        arrays = pycocotools_arrays(truth, found, min(limit, 20), [0.026, 0.025, 0.025])
        assert list(metrics.summary)[:10] == NAMES
        ours = [metrics[name] for name in NAMES]
        np.testing.assert_allclose(ours, expected_summary(arrays), rtol=0, atol=1e-12, err_msg=str(seed))
        assert [row.category_id for row in metrics.classes] == [
            c["id"] for c in truth["categories"] if "keypoints" in c
        ]
        for k, row in enumerate(metrics.classes):
            whole = arrays["precision"][:, :, k, 0, -1]
            np.testing.assert_allclose([row.ap, row.ap50], [mean(whole), mean(whole[0])], rtol=0, atol=1e-12)


def moved_persons(shared: Path, seed: int, spreads: Sequence[float]) -> tuple[Json, list[Json]]:
    """COCO's persons, and detections of each whose coordinates are moved by so many pixels."""
    truth = json.loads((shared / "data" / "coco_mini" / "person_keypoints_val.json").read_text())
    random = np.random.default_rng(seed)
    found = [
        {
            "image_id": a["image_id"],
            "category_id": 1,
            "score": float(random.random()),
            "keypoints": (np.array(a["keypoints"], float).reshape(-1, 3) + random.normal(0, spread, (17, 3)))
            .ravel()
            .tolist(),
        }
        for a in truth["annotations"]
        for spread in spreads
    ]
    return truth, found


def test_equal_to_pycocotools_on_real_persons(shared: Path) -> None:
    """COCO's own 17 sigmas, and coordinates moved by a few pixels."""
    truth, found = moved_persons(shared, 0, (3, 3))
    metrics = evaluate_predictions(truth, found, iou_types=("keypoints",))
    ours = [metrics["keypoints"][name] for name in NAMES]
    sigmas = COCOeval(iouType="keypoints").params.kpt_oks_sigmas.tolist()
    schema = KeypointSchema(tuple(truth["categories"][0]["keypoints"]))
    assert sigmas_of(schema) == pytest.approx(sigmas, abs=1e-15)
    np.testing.assert_allclose(ours, expected_summary(pycocotools_arrays(truth, found, 20, sigmas)), rtol=0, atol=1e-12)
    assert 0.2 < ours[0] < 0.95 and metrics.warnings == ()


# --- by hand ----------------------------------------------------------------------------------------------------


def face(x: float, y: float, **more: object) -> Json:
    """A face of which only the nose is labelled, in a box of 100 x 100."""
    entry = {"image_id": 1, "category_id": 1, "keypoints": [x, y, 2, 0, 0, 0, 0, 0, 0]}
    return {**entry, "bbox": [x - 50, y - 50, 100, 100], **more}


def data(*objects: Json, names: list[str] = FACE) -> Json:
    return {
        "images": [{"id": 1, "width": 640, "height": 480}],
        "categories": [{"id": 1, "name": "person", "keypoints": names}, {"id": 2, "name": "car"}],
        "annotations": [{"id": i, "iscrowd": 0, "area": 10_000, **o} for i, o in enumerate(objects)],
    }


def evaluate(truth: Json, found: list[Json], limit: int = 100) -> Any:
    return evaluate_predictions(truth, found, max_detections=limit, iou_types=("keypoints",))


def distance(oks: float, sigma: float = 0.026, area: float = 10_000) -> float:
    """How far off gives this similarity."""
    return math.sqrt(-math.log(oks) * 2 * area * (2 * sigma) ** 2)


def test_similarity_by_hand() -> None:
    """OKS 0.72 passes 0.50 to 0.70: five thresholds of ten."""
    metrics = evaluate(data(face(100, 100)), [face(100 + distance(0.72), 100, score=0.9)])
    assert metrics["keypoints"]["AP"] == pytest.approx(0.5) and metrics["keypoints"]["AR50"] == 1.0
    assert metrics["keypoints"]["AP75"] == 0.0 and metrics["keypoints"]["APl"] == pytest.approx(0.5)
    assert metrics["keypoints"].curves[0].label == "OKS 0.50"


def test_only_labelled_keypoints_count() -> None:
    found = face(100, 100, score=0.9)
    found["keypoints"][3:] = [900, 900, 1, -500, 0, 1]
    assert evaluate(data(face(100, 100)), [found])["keypoints"]["AP"] == pytest.approx(1.0)


def test_objects_without_keypoints_are_neither_found_nor_missed() -> None:
    """Whether they have zeros, nothing, or no key at all; and what is found around their box is no mistake."""
    for keypoints in ([0] * 9, [], None):
        unlabelled = {**face(400, 300), "keypoints": keypoints, "num_keypoints": 0}
        inside = {**face(400, 300, score=0.9), "keypoints": [400, 300, 1, 380, 310, 1, 300, 390, 1]}
        found = [face(100, 100, score=0.5), inside]
        metrics = evaluate(data(face(100, 100), unlabelled), found)
        image = metrics["keypoints"].images[0]
        assert metrics["keypoints"]["AP"] == pytest.approx(1.0) and metrics.warnings == ()
        assert (image.true_positives, image.false_positives, image.false_negatives) == (1, 0, 0)


def test_other_classes_take_no_part() -> None:
    car = {"image_id": 1, "category_id": 2, "bbox": [0, 0, 50, 50], "score": 0.9}
    metrics = evaluate(data(face(100, 100), car), [face(100, 100, score=0.5), car])
    assert metrics["keypoints"]["AP"] == pytest.approx(1.0) and metrics.warnings == ()
    assert [row.name for row in metrics["keypoints"].classes] == ["person"]


def test_a_missing_area_is_that_of_the_box_and_a_missing_box_that_of_the_keypoints() -> None:
    truth = data(face(100, 100))
    del truth["annotations"][0]["area"]
    metrics = evaluate(truth, [face(100 + distance(0.72), 100, score=0.9)])
    assert metrics["keypoints"]["AP"] == pytest.approx(0.5)
    del truth["annotations"][0]["bbox"]
    truth["annotations"][0]["keypoints"] = [100, 100, 2, 200, 200, 2, 0, 0, 0]
    metrics = evaluate(
        truth, [face(100 + distance(0.72), 100, score=0.9) | {"keypoints": [100, 100, 1, 200, 200, 1, 0, 0, 0]}]
    )
    assert metrics["keypoints"]["AP"] == pytest.approx(1.0) and metrics["keypoints"]["APl"] == pytest.approx(1.0)


def test_no_more_than_twenty_count() -> None:
    faces = [face(20 * i, 100) for i in range(25)]
    found = [{**f, "score": 0.9} for f in faces]
    metrics = evaluate(data(*faces), found)
    assert metrics["keypoints"]["AR"] == pytest.approx(20 / 25)
    assert metrics.to_dict()["settings"]["max_detections_keypoints"] == 20
    assert evaluate(data(*faces), found, limit=5)["keypoints"]["AR"] == pytest.approx(5 / 25)
    boxes = evaluate_predictions(data(*faces), found, iou_types=("box",)).to_dict()
    assert boxes["box"]["AR100"] == 1.0 and "max_detections_keypoints" not in boxes["settings"]


def test_keypoints_of_other_bodies_have_an_assumed_tolerance() -> None:
    names = ["nose", "tail", "left_wing"]
    metrics = evaluate(data(face(100, 100), names=names), [face(100 + distance(0.72), 100, score=0.9)])
    assert metrics["keypoints"]["AP"] == pytest.approx(0.5)
    assert metrics.warnings == ("keypoints: sigma 0.05 is assumed for those that COCO does not have: tail, left_wing",)
    assert sigmas_of(KeypointSchema(("tail", "right_hip"))) == [OTHER_SIGMA, 0.107]


def test_unusable_keypoints_are_left_out_and_told_of() -> None:
    bare = {"image_id": 1, "category_id": 1}
    unlabelled = {**bare, "keypoints": [0] * 9}  # without a box, it cannot even be ignored
    truth = data(face(100, 100), {**face(300, 300), "keypoints": [1, 2, 3]}, bare, unlabelled)
    metrics = evaluate(truth, [face(100, 100, score=0.9)])
    assert metrics["keypoints"]["AP"] == pytest.approx(1.0)
    told = "\n".join(metrics.warnings)
    assert "2 x neither mask nor box" in told and "1 x keypoints are not three numbers for each" in told


@pytest.mark.parametrize("keypoints", [None, [1, 2, 3], [1, 2, "3"] * 3, "123456789", [float("nan")] * 9])
def test_senseless_predictions_are_refused(keypoints: Any) -> None:
    with pytest.raises(UserError, match="entry 0: expected three numbers for each keypoint of the class as keypoints"):
        evaluate(data(face(1, 1)), [{**face(1, 1, score=0.5), "keypoints": keypoints}])


def test_without_keypoints_in_the_classes_there_is_nothing_to_compare() -> None:
    truth = data(face(1, 1))
    del truth["categories"][0]["keypoints"]
    with pytest.raises(UserError, match="expected categories with keypoints, all the same"):
        evaluate(truth, [])


def test_tables_and_report_show_all_types() -> None:
    truth, found = data(face(100, 100)), [face(100, 100, score=0.9)]
    metrics = evaluate_predictions(truth, found, max_detections=100, iou_types=("box", "keypoints"))
    table = format_table(metrics)
    assert "100 per image and class, 20 for keypoints." in table
    assert table.count("APm") == 2 and "AR100" in table and "AR50" in table
    html = render_report(metrics)
    assert "20 for keypoints, which are compared by their similarity (OKS)" in html and "AR100" in html
    assert "keypoints" not in render_report(evaluate_predictions(truth, found, max_detections=100, iou_types=("box",)))


def test_similarities_by_hand() -> None:
    """All three keypoints 10 pixels off: 100 = 2 x area x (2 sigma)^2, which gives 1 / e."""
    found = [{"keypoints": [60.0 + dx, 60 + dy, 1] * 3} for dx, dy in ((0, 0), (6, 8))]
    labelled = {"keypoints": [60.0, 60, 2] * 3, "area": 5000, "bbox": [10, 10, 100, 100]}
    in_part = {**labelled, "keypoints": [60.0, 60, 1, 0, 0, 0, 900, 900, 0]}
    near = {"keypoints": [0.0] * 9, "area": 5000, "bbox": [100, 66, 40, 40]}  # three times as large: from 60, 26
    far = {**near, "bbox": [110, 66, 40, 40]}
    expected = [[1, 1, 1, math.exp(-1)], [math.exp(-1), math.exp(-1), 1, math.exp(-0.16)]]
    assert similarities(found, [labelled, in_part, near, far], [0.05] * 3) == pytest.approx(np.array(expected))


# --- pictures of errors -----------------------------------------------------------------------------------------


def labelled_and_read(*objects: Json) -> GroundTruth:
    annotations = [{**o, "id": i} for i, o in enumerate(objects, start=1)]
    return ground_truth_of(read_coco({**data(), "annotations": data(*annotations)["annotations"]}, need_masks=False))


ERRORS = [
    face(100 + distance(0.9), 100, score=0.9),  # right
    face(100 + distance(0.8), 100, score=0.8),  # the same once more
    face(300 + distance(0.3), 100, score=0.7),  # badly met
    face(300, 400, score=0.6),  # nobody is there
    {**face(500, 100, score=0.5), "keypoints": [500, 100, 1] * 3},  # to be ignored
]


def test_errors_of_keypoints_are_pictured_with_their_similarity() -> None:
    unlabelled = {**face(500, 100), "keypoints": [0] * 9, "num_keypoints": 0}
    truth = labelled_and_read(face(100, 100), face(300, 100), face(100, 300), unlabelled)
    metrics = evaluate_coco(truth, ERRORS, 20, ("keypoints", "box"), explain=True)
    gallery = make_gallery(metrics, truth, ERRORS, lambda _: WholeImage(np.full((480, 640, 3), 80, np.uint8)))
    assert {kind: [one.caption for one in own] for kind, own in gallery.errors.items()} == {
        "localisation": ["found person 0.70, OKS 0.30"],
        "double": ["found person 0.80, OKS 0.80"],
        "background": ["found person 0.60"],
        "missed": ["true person, 10000 pixels"],
    }
    page = render_report(metrics, gallery)
    assert "its keypoints badly met (OKS 0.1 to 0.5)" in page and "; score 0.167 at OKS 0.5, " in page
    kinds = [verdict.kind for verdict in judge(truth, 1, ERRORS, "keypoints", 20).found]
    assert kinds == ["right", "double", "wrong", "wrong", ""]


def test_kinds_of_keypoint_errors_are_those_that_hotcoco_counts(shared: Path) -> None:
    content, found = moved_persons(shared, 1, (2, 5, 20, 60))
    compared = Compared.of(ground_truth_of(read_coco(content, need_masks=False)), found, "keypoints", 20)
    evaluator = compared.evaluator()
    evaluator.params.max_dets = [20]
    evaluator.evaluate()
    evaluator.accumulate()
    counts = evaluator.tide_errors()["counts"]
    kinds = Counter(case.kind for own in error_cases(compared, evaluator) for case in own)
    expected = {"Dupe": "double", "Loc": "localisation", "Bkg": "background", "Miss": "missed"}
    assert {name: kinds[ours] for name, ours in expected.items()} == {name: counts[name] for name in expected}
    assert min(kinds[name] for name in ("double", "localisation", "background")) > 10


def test_keypoints_without_a_box_are_cut_out_around_them() -> None:
    truth = labelled_and_read(face(100, 100))
    bare = [{"image_id": 1, "category_id": 1, "score": 0.9, "keypoints": [400.0, 300, 1, 420, 300, 1, 410, 320, 1]}]
    metrics = evaluate_coco(truth, bare, 20, ("keypoints",), explain=True)
    seen = np.full((480, 640, 3), 80, np.uint8)
    seen[275:335, 380:440] = 250  # what is cut out around the keypoints is bright here, and dark elsewhere
    (one,) = make_gallery(metrics, truth, bare, lambda _: WholeImage(seen)).errors["background"]
    picture = np.asarray(Image.open(io.BytesIO(b64decode(one.picture.split(",")[1]))).convert("L"))
    assert picture.mean() > 200
