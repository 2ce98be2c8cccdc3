"""A model made ready for prediction finds on real images what the same layers find one by one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.compare.weights import spread

from maskrcnn.acceleration import choice, for_prediction
from maskrcnn.build import build_model
from maskrcnn.kernels.winograd import ROUGH_TILES, TILES
from maskrcnn.loading import bundled_models
from maskrcnn.model import Model
from maskrcnn.prediction import Prediction
from maskrcnn.presets import preset
from maskrcnn.structures import Categories
from maskrcnn.weights.checkpoint import load_model

CPU = torch.device("cpu")
NUCLEI = sorted((Path(__file__).parents[2] / "examples/nuclei_mini/images").glob("*.png"))[::5]
_FACTORS = {"rpn.head.objectness": 30.0, "rpn.head.deltas": 10.0, "class_logits": 60.0, "mask_logits": 30.0}


def test_the_bundled_model_on_nuclei(monkeypatch: pytest.MonkeyPatch, transformed_for: list[int]) -> None:
    monkeypatch.setattr(
        choice, "MIN_CHANNELS", dict.fromkeys((*TILES, *ROUGH_TILES), 64)
    )  # the pyramid uses Winograd's algorithm as well
    network, config, categories, _ = load_model(bundled_models()["nuclei"])
    assert compare(Model(network, categories, config, CPU, accelerate=False), NUCLEI, 0.05) > 100
    assert transformed_for


def test_resnet50_on_photographs(transformed_for: list[int], shared: Path) -> None:
    """Random weights, since there is no published file; scaled such that boxes, scores and masks differ."""
    base = preset("torchvision")
    config = replace(base, input=replace(base.input, min_size=288, max_size=400))
    torch.manual_seed(0)
    network = build_model(config, 80).eval()
    spread(network, _FACTORS)
    categories = Categories(tuple(range(1, 81)), tuple(map(str, range(1, 81))))
    photographs = sorted((shared / "data/coco_mini/images").glob("*.jpg"))[:2]
    assert compare(Model(network, categories, config, CPU, accelerate=False), photographs, 0.0) == 200
    assert transformed_for


def compare(plain: Model, images: Sequence[Path], threshold: float) -> int:
    """Compare what is found with what the prepared model finds; the number of objects."""
    prepared = copy.copy(plain)
    prepared.network = for_prediction(copy.deepcopy(plain.network))
    found = 0
    for image in images:
        expected = plain.predict(image, score_threshold=threshold)
        assert_alike(prepared.predict(image, score_threshold=threshold), expected)
        found += len(expected)
    return found


def assert_alike(actual: Prediction, expected: Prediction) -> None:
    """One to one, since the last digit of equal scores decides their order."""
    assert len(actual) == len(expected)
    apart = np.abs(actual.boxes[:, None] - expected.boxes).max(axis=2)
    apart[actual.labels[:, None] != expected.labels] = np.inf
    twin = apart.argmin(axis=1)
    assert sorted(twin.tolist()) == list(range(len(expected)))
    torch.testing.assert_close(actual.boxes, expected.boxes[twin], atol=0.01, rtol=0)
    torch.testing.assert_close(actual.scores, expected.scores[twin], atol=1e-4, rtol=0)
    for one, other in zip(actual.masks(), expected.masks()[twin], strict=True):
        assert (one ^ other).sum() <= max(1, 0.001 * (one | other).sum())  # of a small mask, a pixel
