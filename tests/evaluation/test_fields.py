"""Images of very many objects in fields: the numbers are those of whole images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.evaluation import fields
from maskrcnn.evaluation.coco import evaluate_coco
from maskrcnn.evaluation.fields import Fields, fields_of
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.evaluation.verdicts import judge
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.masks.rle_crops import encode_rle_crop
from maskrcnn.scoring import ground_truth_of

SIZE = (300, 400)


def rectangle(rng: np.random.Generator, near: dict[str, Any] | None = None) -> dict[str, Any]:
    """A random one, or one like another, a little off."""
    x, y = rng.integers(0, 330), rng.integers(0, 240)
    w, h = rng.integers(8, 60, 2)
    if near is not None:
        x, y, w, h = np.array(near["bbox"]) + rng.integers(-3, 4, 4)
    x1, y1, x2, y2 = (int(v) for v in (max(x, 0), max(y, 0), min(x + max(w, 4), 400), min(y + max(h, 4), 300)))
    rle = encode_rle_crop(np.ones((y2 - y1, x2 - x1), np.uint8), (x1, y1, x2, y2), SIZE)
    return {"bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": rle_to_coco(rle)}


def scene(seed: int) -> tuple[GroundTruth, list[dict[str, Any]]]:
    """Three images of two classes, with crowds, doubles, misses and wrong classes; no two scores are equal."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    for image in (1, 2, 3):
        for _ in range(25):
            entry = rectangle(rng)
            category, number = int(rng.integers(1, 3)), len(annotations) + 1
            annotations.append(
                {**entry, "id": number, "image_id": image, "category_id": category, "iscrowd": int(rng.random() < 0.1)}
            )
            for _ in range(int(rng.integers(0, 3))):
                other = category if rng.random() < 0.8 else 3 - category
                results.append({**rectangle(rng, entry), "image_id": image, "category_id": other})
        results += [{**rectangle(rng), "image_id": image, "category_id": 1} for _ in range(5)]
    scores = rng.permutation(len(results)) / len(results)
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 300, "width": 400} for i in (1, 2, 3)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": annotations,
    }
    found = [{**result, "score": float(score)} for result, score in zip(results, scores, strict=True)]
    return ground_truth_of(read_coco(content)), found


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "MOST_PAIRS", 200)
    monkeypatch.setattr(fields_of, "__defaults__", (4,))


@pytest.mark.parametrize("limit", [5, 100])
@pytest.mark.parametrize("seed", range(3))
def test_every_number_is_that_of_whole_images(seed: int, limit: int, request: pytest.FixtureRequest) -> None:
    truth, results = scene(seed)
    whole = evaluate_coco(truth, results, limit, explain=True)
    request.getfixturevalue("divided")
    found, expected = (m.to_dict() for m in (evaluate_coco(truth, results, limit, explain=True), whole))
    if limit == 5:  # where the limit cuts, the table of confusions has another
        for numbers in (*found["explanation"].values(), *expected["explanation"].values()):
            del numbers["confusion"]
    assert _rounded(found) == _rounded(expected)
    assert any(len(set(own)) > 3 for own in _fields_by_image(truth, results, limit)), "something was divided"


def _rounded(value: Any) -> Any:
    """Without the last bits, in which sums depend on their order."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 12) if isinstance(value, float) else value


def _fields_by_image(truth: GroundTruth, results: list[dict[str, Any]], limit: int) -> list[list[int]]:
    found = [{**r, "image_id": r["image_id"] - 1} for r in results]
    truths = [found[i] for i in range(0, len(found), 2)]
    own = Fields.of(truths, found, [SIZE] * 3, "box", limit)
    return [own.of_found[own.image_of[own.of_found] == image].tolist() for image in range(3)]


@pytest.mark.parametrize("kind", ["mask", "box"])
def test_verdicts_are_those_of_the_whole_image(kind: Any, request: pytest.FixtureRequest) -> None:
    truth, results = scene(7)
    own = [result for result in results if result["image_id"] == 2]
    whole = [judge(truth, 2, own, kind, limit) for limit in (4, 100)]
    request.getfixturevalue("divided")
    assert [judge(truth, 2, own, kind, limit) for limit in (4, 100)] == whole


def test_chains_stay_together_and_fields_are_small() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 2000, (3000, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0, 40, (3000, 2))], axis=1)
    boxes = np.concatenate([boxes, [[0, 500, 2000, 510]]])  # one that touches many
    number = fields_of(boxes)
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    i, j = np.nonzero((high > low).all(axis=2))
    assert (number[i] == number[j]).all()
    assert number.min() == 0
    assert len(np.unique(number)) == number.max() + 1 > 3


def test_touching_is_no_overlap_and_nothing_is_no_field() -> None:
    boxes = np.array([[0, 0, 4, 4], [4, 0, 8, 4], [0, 4, 4, 8], [0, 0, 0, 0], [3, 3, 5, 5]], float)
    assert fields_of(boxes[:4], at_most=1).tolist() != [0, 0, 0, 0]
    assert len(set(fields_of(boxes[[0, 1, 2, 4]], at_most=1).tolist())) == 1
    assert fields_of(np.zeros((0, 4))).tolist() == []
