"""Cityscapes' AP against numbers worked out by hand and the original's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.data.formats.scenes import save
from tests.evaluation.toys import rle

from maskrcnn.data.coco import read_coco, with_street, without_classes
from maskrcnn.data.coco_street import FIELD, read_street
from maskrcnn.data.formats.table import read_labels
from maskrcnn.evaluation.scores import Scores
from maskrcnn.json_values import load_json
from maskrcnn.scoring import evaluate_predictions

Values = npt.NDArray[np.int64]
Found = tuple[int, float, npt.NDArray[np.bool_]]
"""Class, score, mask."""

CLASSES = (24, 25, 26, 27, 28, 31, 32, 33)


def street(seed: int) -> tuple[Values, list[Found]]:
    """Objects, groups, void, caravans and small objects as rectangles; what is found lies about them."""
    random = np.random.default_rng(seed)
    values = np.full((90, 160), 7, np.int64)
    kinds = (24001, 24002, 24003, 26001, 26002, 26003, 26004, 33001, 24, 26, 26, 33, 0, 4, 3, 29, 29001, 30002)
    parts: list[tuple[int, slice, slice]] = []
    for value in random.permutation(kinds).tolist():
        y, x, height, width = random.integers((0, 0, 4, 4), (70, 130, 24, 34)).tolist()
        parts.append((value, slice(y, y + height), slice(x, x + width)))
        values[parts[-1][1:]] = value
    found: list[Found] = []
    for value, rows, columns in parts:
        for _ in range(int(random.choice([0, 1, 1, 2]))):
            label = value if value < 1000 else value // 1000
            label = label if label in CLASSES and random.random() < 0.85 else int(random.choice((24, 26, 33, 31)))
            mask = np.zeros(values.shape, bool)
            top, left, bottom, right = random.integers(-2, 3, 4).tolist()
            mask[max(rows.start + top, 0) : rows.stop + bottom, max(columns.start + left, 0) : columns.stop + right] = (
                True
            )
            if random.random() < 0.5 and value >= 1000 and (values == value).any():
                mask &= values == value
            found.append((label, round(float(random.random()), 1), mask))
    return values, found


def scores_of(folder: Path, scenes: list[tuple[Values, list[Found]]], output: Path | None = None) -> Scores:
    results: list[dict[str, Any]] = []
    for number, (values, found) in enumerate(scenes, start=1):
        save(folder / f"leftImg8bit/val/ulm/ulm_{number:03}_leftImg8bit.png", np.zeros((*values.shape, 3), np.uint8))
        save(folder / f"gtFine/val/ulm/ulm_{number:03}_gtFine_instanceIds.png", values.astype(np.uint16))
        results += [
            {
                "image_id": number,
                "category_id": CLASSES.index(label) + 1,
                "score": score,
                "segmentation": rle(mask.astype(np.uint8)),
            }
            for label, score, mask in found
        ]
    content = read_labels(folder, "cityscapes")
    metrics = evaluate_predictions(content, results, output or folder / "out", say=lambda _: None)
    return next(one for one in metrics["mask"].further if one.key == "cityscapes")


ORIGINAL = {
    "person": (0.25016558078406287, 0.4703544054117136),
    "car": (0.1689099198656127, 0.36877042953869527),
    "bicycle": (0.0767571175697535, 0.16179379340122174),
    "average": (0.16527753940647638, 0.3336395427838768),
}
"""AP and AP50 that cityscapesScripts 2.3.0 (evalInstanceLevelSemanticLabeling) gives for 40 of these scenes."""


def test_equal_to_the_original(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, [street(seed) for seed in range(40)])
    own = {name: (one["AP"].estimate, one["AP50"].estimate) for name, one in scores.classes.items()}
    assert {**own, "average": (scores["AP"], scores["AP50"])} == {
        name: pytest.approx(numbers, abs=1e-12) for name, numbers in ORIGINAL.items()
    }
    assert scores.numbers["AP"].groups == 40 and scores.numbers["AP"].margin > 0


def part(rows: tuple[int, int], columns: tuple[int, int]) -> npt.NDArray[np.bool_]:
    mask = np.zeros((40, 60), bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


PERSON = part((0, 10), (0, 12))
THERE = part((20, 30), (20, 40))


def person_and(value: int, where: npt.NDArray[np.bool_] = THERE) -> Values:
    values = np.full((40, 60), 7, np.int64)
    values[PERSON], values[where] = 24000, value
    return values


def ap_of(folder: Path, values: Values, *found: Found) -> list[float]:
    """AP and AP50 of persons."""
    numbers = scores_of(folder, [(values, [(24, 0.5, PERSON), *found])]).classes["person"]
    return [numbers[name].estimate for name in ("AP", "AP50")]


def test_what_is_wrong_costs(tmp_path: Path) -> None:
    """Points (recall, precision) of a wrong one with the best score: (0, 1), (0, 0), (1, 0.5)."""
    assert ap_of(tmp_path, person_and(7)) == [1, 1]
    assert ap_of(tmp_path, person_and(7), (24, 0.9, THERE)) == [0.25, 0.25]
    assert ap_of(tmp_path, person_and(7), (26, 0.9, THERE)) == [1, 1], "of another class"
    half = scores_of(tmp_path, [(person_and(7), [(24, 0.9, part((0, 5), (0, 12)))])])
    assert half["AP50"] == 0, "an IoU of 0.5 is not above it"


def test_void_and_groups_excuse_what_lies_there(tmp_path: Path) -> None:
    """Of 200 pixels 120 in void: more than half, and more than 0.55, but not more than 0.6."""
    assert ap_of(tmp_path, person_and(4), (24, 0.9, THERE)) == [1, 1]
    most = part((20, 30), (20, 32))
    assert ap_of(tmp_path, person_and(4, most), (24, 0.9, THERE)) == pytest.approx([(2 + 8 * 0.25) / 10, 1])
    assert ap_of(tmp_path, person_and(24), (24, 0.9, THERE)) == [1, 1]
    assert ap_of(tmp_path, person_and(26), (24, 0.9, THERE)) == [0.25, 0.25], "a group of another class"


def test_small_objects_are_not_to_be_found_but_excuse(tmp_path: Path) -> None:
    few, enough = part((20, 29), (20, 31)), part((20, 30), (20, 30))
    assert ap_of(tmp_path, person_and(24001, few)) == ap_of(tmp_path, person_and(24001, few), (24, 0.9, few)) == [1, 1]
    assert ap_of(tmp_path, person_and(24001, enough)) == [0.5, 0.5], "half of the way at precision 1"
    alone = np.full((40, 60), 7, np.int64)
    alone[few] = 24000
    scores = scores_of(tmp_path, [(alone, [(24, 0.9, few)])])
    assert math.isnan(scores["AP"]) and scores.classes == {}


def test_of_several_detections_of_an_object_the_best_is_right(tmp_path: Path) -> None:
    assert ap_of(tmp_path, person_and(7), (24, 0.4, PERSON)) == [1, 1]
    assert ap_of(tmp_path, person_and(7), (24, 0.5, PERSON)) == [0.75, 0.75], "of equal score: one point"
    nothing = np.zeros((40, 60), bool)
    assert ap_of(tmp_path, person_and(7), (24, 0.9, nothing)) == [1, 1], "a mask of no pixel"


def test_only_groups_of_caravans_are_void_and_none_is_a_group_of_persons(tmp_path: Path) -> None:
    assert ap_of(tmp_path, person_and(29), (24, 0.9, THERE)) == [1, 1]
    assert ap_of(tmp_path, person_and(29001), (24, 0.9, THERE)) == [0.25, 0.25]
    assert ap_of(tmp_path, person_and(30002), (24, 0.9, THERE)) == [0.25, 0.25]


def test_nothing_found_and_the_sample(tmp_path: Path, shared: Path) -> None:
    assert scores_of(tmp_path, [(person_and(7), [])])["AP"] == 0
    content = read_labels(shared / "data/formats/cityscapes/train_dataset", "cityscapes")
    metrics = evaluate_predictions(content, [], tmp_path / "sample", iou_types=("mask",), say=lambda _: None)
    found = next(one for one in metrics["mask"].further if one.key == "cityscapes")
    assert math.isnan(found["AP"]), "objects of one and of two pixels"


def test_only_of_cityscapes(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, [street(0)], tmp_path / "out")
    written = load_json(tmp_path / "out" / "metrics.json")["further"]["mask"]
    assert written["cityscapes"]["AP"] == scores["AP"] and [*written] == ["boundary", "cityscapes"]
    content = read_labels(tmp_path, "cityscapes")
    data = with_street(read_coco(content.coco), content.coco)
    assert data.street is not None and without_classes(data).street is None and read_coco(content.coco).street is None
    plain = {
        **content.coco,
        "images": [{k: v for k, v in image.items() if k != FIELD} for image in content.coco["images"]],
    }
    assert with_street(read_coco(plain), plain).street is None


@pytest.mark.parametrize(
    "value", [None, 5, {}, {"void": 5, "left_out": 5}, {"void": {"size": [2, 2], "counts": [5]}}, {"void": {"size": 1}}]
)
def test_what_is_no_mask_of_the_image_says_nothing(value: Any) -> None:
    good = {"size": [2, 2], "counts": [1, 3]}
    image = {"id": 1, "width": 2, "height": 2}
    found = read_street(
        [{**image, FIELD: {"void": good, "left_out": good}}, {"id": 2, FIELD: value}], {1: (2, 2), 2: (2, 2)}
    )
    assert found is not None and [*found.void] == [*found.left_out] == [1]
    assert read_street([{**image, FIELD: value}], {1: (2, 2)}) is None
    assert read_street([{**image, FIELD: {"void": good, "left_out": good}}], {1: (2, 3)}) is None, "another size"
