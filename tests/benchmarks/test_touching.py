"""Objects from the class of every pixel, worked out by hand; and the budgets of the comparison with Mask R-CNN."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.ablations import budget, touching
from benchmarks.ablations.components import LEAST_PIXELS, as_prediction, class_probabilities, components
from benchmarks.ablations.found import Quality, parts_of_truth, quality
from benchmarks.ablations.side_by_side import TITLE, beside, panel, true_masks

import maskrcnn
from maskrcnn import Config
from maskrcnn.build import build_model
from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.masks.rle import decode_rle
from maskrcnn.model import Model
from maskrcnn.settings import differing_settings
from maskrcnn.structures import Categories
from maskrcnn.structures.semantic import IGNORED

CATEGORIES = Categories((1, 2), ("a", "b"))
BACKGROUND = 2


def label_map(**squares: tuple[int, int, int, int, int]) -> np.ndarray:
    """(20, 30): label, x1, y1, x2, y2 of each."""
    pixels = np.full((20, 30), BACKGROUND, np.uint8)
    for label, x1, y1, x2, y2 in squares.values():
        pixels[y1:y2, x1:x2] = label
    return pixels


def boxes(pixels: np.ndarray) -> list[tuple[int, tuple[int, ...]]]:
    return [(part.label, part.box) for part in components(pixels, None, 2)]


def test_what_touches_by_an_edge_is_one_part_and_by_a_corner_two() -> None:
    first = (0, 1, 1, 6, 6)
    assert boxes(label_map(first=first, beside=(0, 6, 2, 11, 7))) == [(0, (1, 1, 11, 7))]
    assert boxes(label_map(first=first, corner=(0, 6, 6, 11, 11))) == [(0, (1, 1, 6, 6)), (0, (6, 6, 11, 11))]
    assert boxes(label_map(first=first, other=(1, 6, 1, 11, 6))) == [(0, (1, 1, 6, 6)), (1, (6, 1, 11, 6))]


def test_small_parts_and_ignored_pixels_are_no_objects() -> None:
    assert LEAST_PIXELS == 20
    assert boxes(label_map(small=(0, 0, 0, 19, 1), enough=(0, 0, 5, 20, 6))) == [(0, (0, 5, 20, 6))]
    assert boxes(label_map(unknown=(IGNORED, 0, 0, 30, 20))) == []


def test_a_score_is_the_mean_probability_of_the_class_and_the_best_comes_first() -> None:
    pixels = label_map(low=(0, 0, 0, 5, 5), high=(1, 10, 0, 20, 5))
    probabilities = np.zeros((3, 20, 30), np.float32)
    probabilities[0, :5, :5] = 0.6
    probabilities[1, :5, 10:20] = [[0.7] * 5 + [0.9] * 5] * 5
    probabilities[0, :5, 10:20] = 0.1  # of another class
    high, low = components(pixels, probabilities, 2)
    assert (high.label, low.label) == (1, 0)
    assert high.score == pytest.approx(0.8) and low.score == pytest.approx(0.6)
    assert np.array_equal(decode_rle(high.mask), pixels == 1)
    prediction = as_prediction([high, low], (20, 30), CATEGORIES)
    assert prediction.names == ["b", "a"] and [found.area for found in prediction] == [50, 25]
    assert len(as_prediction([], (20, 30), CATEGORIES)) == 0


def square(number: int, x: int, y: int, side: int = 10, category: int = 1) -> dict[str, Any]:
    ring = [x, y, x + side, y, x + side, y + side, x, y + side]
    box = [x, y, side, side]
    return {"id": number, "image_id": 1, "category_id": category, "bbox": box, "segmentation": [ring], "iscrowd": 0}


def labelled(*annotations: dict[str, Any]) -> LabelledImages:
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    images = [{"id": 1, "file_name": "1.png", "width": 60, "height": 40}]
    return read_coco({"images": images, "annotations": list(annotations), "categories": categories})


def test_the_parts_of_the_truth_are_perfect_where_nothing_touches() -> None:
    data = labelled(square(1, 0, 0), square(2, 20, 0), square(3, 30, 0, category=2))
    assert quality(data, parts_of_truth(data), 100) == Quality(1.0, 1.0, 0.0, 0.0)


def test_of_two_that_touch_one_part_is_left() -> None:
    """Two of three objects of a class are one part with IoU 1/2 to each: found at 0.5, as one of them."""
    data = labelled(square(1, 0, 0), square(2, 10, 0), square(3, 40, 20))
    found = quality(data, parts_of_truth(data), 100)
    assert (found.miscounted, found.more) == (1.0, -1.0)
    assert found.ap50 == pytest.approx(67 / 101) and found.ap == pytest.approx((67 + 9 * 34 / 2) / 1010, abs=0.02)


def test_miscounted_is_counted_class_by_class() -> None:
    """One too few of a class and one too many of another are two mistakes, though the sum is right."""
    data = labelled(square(1, 0, 0), square(2, 20, 0))
    other = labelled(square(1, 0, 0), square(2, 20, 0, category=2))
    found = quality(data, parts_of_truth(other), 100)
    assert (found.miscounted, found.more) == (2.0, 0.0)


@pytest.fixture
def fcn() -> Config:
    return touching.fcn(maskrcnn.preset("tiny"))


def test_probabilities_say_what_the_label_map_says(fcn: Config) -> None:
    torch.manual_seed(0)
    network = build_model(fcn, 2)
    torch.nn.init.normal_(network.get_submodule("semantic_head.score.0").weight)
    model = Model(network, CATEGORIES, fcn, "cpu")
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    probabilities, semantic = class_probabilities(model, picture), model.predict(picture).semantic
    assert probabilities.shape == (3, 50, 70) and np.allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    assert semantic is not None and len(np.unique(semantic)) > 1
    assert (probabilities.argmax(axis=0) == semantic).mean() > 0.95, "they are upsampled in another order"


def test_both_begin_with_one_backbone_and_differ_in_nothing_of_the_budget(fcn: Config) -> None:
    base = maskrcnn.preset("tiny")
    sections = {name.partition(".")[0] for name in differing_settings(base, fcn)}
    assert sections == {"backbone", "rpn", "box_head", "mask_head", "semantic_head"}
    weights = []
    for system in touching.SYSTEMS.values():
        torch.manual_seed(3)
        weights.append(build_model(system(base), 2).state_dict())
    names = [name for name in weights[0] if "bottom_up" in name]
    assert names and all(torch.equal(weights[0][name], weights[1][name]) for name in names)


def test_steps_that_fit_into_the_time(monkeypatch: pytest.MonkeyPatch, fcn: Config) -> None:
    """A clock by which a run takes 3 s, and a quarter of a second a step."""
    clock = [0.0]

    def train(config: Config, output: Path, *, device: str, init: None) -> None:
        assert config.data.val_annotations == "" and config.data.num_workers == 0 and config.train.evaluate_every == 0
        clock[0] += 3 + 0.25 * config.schedule.steps

    monkeypatch.setattr(maskrcnn, "train", train)
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    assert budget.steps_within(fcn, 900) == (3600, 0.25)


def test_from_the_command_to_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for training and measuring: nothing is done twice, and the figures are those of the seeds."""
    trained: list[tuple[str, int, int]] = []
    monkeypatch.setattr(touching, "steps_within", lambda config, seconds: (int(seconds), 1.0))
    monkeypatch.setattr(touching, "val_split", lambda config: None)
    monkeypatch.setattr(touching, "parts_of_truth", lambda data: "truth")
    monkeypatch.setattr(touching, "found_by", lambda model, name, data: name)
    monkeypatch.setattr(maskrcnn, "load", lambda path, device: None)

    def train(config: Config, output: Path, **_: object) -> None:
        trained.append((config.backbone.features, config.train.seed, config.schedule.steps))
        output.mkdir(parents=True)

    def rated(data: object, found: str, limit: int) -> Quality:
        ap = {"truth": 0.8, "fcn": 0.1 * len(trained), "mask_r_cnn": 0.5}[found]
        return Quality(ap, 1.0, 2.0, -1.0)

    monkeypatch.setattr(maskrcnn, "train", train)
    monkeypatch.setattr(touching, "quality", rated)
    options = argparse.Namespace(data=tmp_path, preset="nuclei", seeds=[0, 1], minutes=2.0, output=tmp_path / "out")
    monkeypatch.setattr(touching, "_parser", lambda: argparse.Namespace(parse_args=lambda: options))
    for _ in range(2):
        touching.main()
        assert trained == [("stages", 0, 120), ("fpn", 0, 120), ("stages", 1, 120), ("fpn", 1, 120)]
    lines = (tmp_path / "out" / "nuclei.md").read_text().splitlines()
    assert lines[0].startswith("| objects from | seconds a step | steps | seconds in all | seeds | mask AP | AP50 |")
    assert lines[2].startswith("| FCN-8s, connected parts | 1.000 | 120 | ")
    assert lines[2].endswith(" | 2 | 20.0 ± 14.1 | 100.0 ± 0.0 | 2.0 ± 0.0 | -1.0 ± 0.0 |")
    assert lines[3].endswith(" | 2 | 50.0 ± 0.0 | 100.0 ± 0.0 | 2.0 ± 0.0 | -1.0 ± 0.0 |")
    assert lines[4] == f"| {touching.PERFECT} | – | – | – | – | 80.0 | 100.0 | 2.0 | -1.0 |"
    assert json.loads((tmp_path / "out" / "nuclei-fcn-1" / "quality.json").read_text())["ap"] == pytest.approx(0.3)


def test_a_panel_has_a_colour_for_each_object_and_a_title() -> None:
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 2:8, 2:8] = masks[1, 10:18, 10:18] = True
    picture = panel(np.full((20, 30, 3), 100, np.uint8), masks, "found")
    assert picture.shape == (TITLE + 40, 60, 3) and picture.dtype == np.uint8
    first, second, nothing = picture[TITLE + 10, 10], picture[TITLE + 28, 28], picture[TITLE + 2, 50]
    assert nothing.tolist() == [100, 100, 100] and len({tuple(p.tolist()) for p in (first, second, nothing)}) == 3
    assert (picture[:TITLE] < 255).any() and beside([picture, picture]).shape == (TITLE + 40, 128, 3)
    assert panel(np.zeros((20, 30, 3), np.uint8), masks[:0], "none").shape == picture.shape


def test_the_true_masks_are_those_of_the_labels() -> None:
    masks = true_masks(labelled(square(1, 0, 0), square(2, 20, 5)), 0)
    assert masks.shape == (2, 40, 60) and masks.sum(axis=(1, 2)).tolist() == [100, 100] and masks[1, 5, 20]
