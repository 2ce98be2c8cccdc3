"""A tiny model measured: what is counted, and that measuring changes no result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.conftest import make_model
from maskrcnn.benchmark import machine, measure
from maskrcnn.benchmark.meter import REST
from maskrcnn.errors import UserError
from maskrcnn.model import Model
from maskrcnn.presets import preset

FPN_STAGES = [
    "preprocess",
    "backbone",
    "FPN",
    "RPN head",
    "proposals",
    "box RoI features",
    "box head",
    "box post-processing",
    "mask RoI features",
    "mask head",
    "paste",
    REST,
]


@pytest.fixture(autouse=True)
def small_matrices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(machine._MATRIX_SIDE, "cpu", 64)
    yield


def test_every_stage_in_order(tiny: Model, images: list[Tensor]) -> None:
    found = measure.measure(tiny, images, batch_size=2, runs=2)
    assert [stage.name for stage in found.stages] == FPN_STAGES
    assert found.num_images == 3 and found.workload.batches == ((2, 3, 64, 96), (1, 3, 64, 96))
    assert 0 < found.workload.num_proposals <= 3 * 200 and 0 < found.workload.num_detections <= 300
    counted = {stage.name for stage in found.stages if stage.flop}
    assert counted == {"backbone", "FPN", "RPN head", "box head", "mask head"}
    assert found.flop == sum(stage.flop for stage in found.stages) > 0
    assert all(stage.seconds > 0 for stage in found.stages)
    assert json.loads(json.dumps(found.to_json()))["stages"][1]["name"] == "backbone"


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("c4", {"shared RoI layers", "mask head"}),
        ("keypoints_tiny", {"FPN", "keypoint RoI features", "keypoint head"}),
    ],
)
def test_other_models_have_other_stages(name: str, stages: set[str], images: list[Tensor]) -> None:
    config = preset(name)
    model = make_model(
        replace(
            config, backbone=replace(config.backbone, name="resnet18"), resnet=replace(config.resnet, stem_channels=16)
        )
    )
    names = {stage.name for stage in measure.measure(model, images[:1], runs=1).stages}
    assert stages <= names and (name != "c4" or "FPN" not in names)


def test_measuring_changes_no_result(tiny: Model, images: list[Tensor]) -> None:
    before = tiny.predict(images[0], 0.0)
    assert measure.staged_pass(tiny, images, 1, 0.0).keys() == set(FPN_STAGES)
    after = tiny.predict(images[0], 0.0)
    assert np.array_equal(before.boxes, after.boxes) and np.array_equal(before.scores, after.scores)
    assert not any("forward" in vars(module) for module in tiny.network.modules())


def test_the_threshold_lets_so_many_candidates_pass(tiny: Model, images: list[Tensor]) -> None:
    head = tiny.network.box_head
    assert head is not None
    threshold = measure.crowded_threshold(tiny, images[:1], max_detections=4)
    with measure.recorded(head, "select") as calls:
        tiny.predict(images[0], threshold, 4)
    probs = calls[0].arguments[0].softmax(dim=1)[:, :-1]
    assert int((probs > threshold).sum()) == 4 * measure.CANDIDATES_PER_DETECTION
    assert measure.crowded_threshold(tiny, images[:1], max_detections=10_000) == 0.0, "more than there are"


def test_synthetic_images_are_the_same_every_time_and_unlike_each_other() -> None:
    first, again = measure.synthetic_images(2, (40, 56)), measure.synthetic_images(2, (40, 56))
    assert first[0].shape == (3, 40, 56) and first[0].dtype == torch.uint8
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    spread = [float(image.float().std()) for image in first]
    assert min(spread) > 20, "not flat"


def test_the_medians_stage_by_stage() -> None:
    passes = [{"a": 3.0, "b": 1.0}, {"a": 1.0}, {"a": 2.0, "b": 5.0}]
    costs = measure.stage_costs(["b", "none", "a"], passes, {"a": 8.0})
    assert [(cost.name, cost.seconds, cost.flop) for cost in costs] == [("b", 1.0, 0.0), ("a", 2.0, 8.0)]


def test_a_model_whose_proposals_come_from_outside(images: list[Tensor]) -> None:
    config = preset("tiny")
    model = make_model(replace(config, rpn=replace(config.rpn, enabled=False)))
    with pytest.raises(UserError, match=r"expected a model with an RPN, got .* \(rpn.enabled is false\)"):
        measure.measure(model, images)


def test_more_objects_where_more_are_allowed(tiny: Model, images: list[Tensor]) -> None:
    counts = [measure.observe(tiny, images[:1], 1, 0.0, limit).num_detections for limit in (1, 5, 9)]
    assert counts == [1, 5, 9] and all(a < b for a, b in pairwise(counts))
