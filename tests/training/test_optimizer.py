from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from maskrcnn.build import build_model
from maskrcnn.config import BackboneConfig, Config, OptimizerConfig, TrainConfig
from maskrcnn.presets import preset
from maskrcnn.training.optimizer import build_optimizer, full_learning_rate, parameter_groups, set_learning_rate

SETTINGS = OptimizerConfig(weight_decay=0.1, norm_weight_decay=0.2, bias_weight_decay=0.3)


def decays(model: nn.Module) -> dict[str, float]:
    decay_of = {id(p): group["weight_decay"] for group in parameter_groups(model, SETTINGS) for p in group["params"]}
    return {name: decay_of[id(p)] for name, p in model.named_parameters() if id(p) in decay_of}


def test_weights_norms_and_biases_have_their_own_decay() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.Linear(4, 2))
    assert decays(model) == {
        "0.weight": 0.1,
        "0.bias": 0.3,
        "1.weight": 0.2,
        "1.bias": 0.2,
        "2.weight": 0.2,
        "2.bias": 0.2,
        "3.weight": 0.1,
        "3.bias": 0.3,
    }


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    assert decays(model) == {"1.weight": 0.1, "1.bias": 0.3}


@pytest.mark.parametrize("norm", ["bn", "gn", "frozen_bn"])
def test_every_trained_parameter_of_the_model_is_in_exactly_one_group(norm: str) -> None:
    config = preset("tiny")
    model = build_model(replace(config, backbone=replace(config.backbone, norm=norm)), 2)
    grouped = [id(p) for group in parameter_groups(model, SETTINGS) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_frozen_stages_of_the_model_do_not_train() -> None:
    config = replace(preset("tiny"), backbone=BackboneConfig(name="resnet18", frozen_stages=5))
    names = decays(build_model(config, 2))
    assert names and not any("bottom_up" in name for name in names)


def test_earlier_stages_learn_more_slowly() -> None:
    """0.5 for the last of four stages, 0.0625 for stage 2, half of that for the stem; the rest at the full rate."""
    model = build_model(replace(preset("tiny"), backbone=BackboneConfig(name="resnet18", norm="bn")), 2)
    optimizer = build_optimizer(model, replace(SETTINGS, layer_decay=0.5))
    set_learning_rate(optimizer, 0.8)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    names = {name: rates[id(p)] for name, p in model.named_parameters()}
    expected = {"stem.": 0.025, **{f"stages.{i}.": 0.05 * 2**i for i in range(4)}}
    for name, rate in names.items():
        own = next((r for part, r in expected.items() if name.startswith(f"backbone.bottom_up.{part}")), 0.8)
        assert rate == pytest.approx(own), name
    assert len(names) == len(rates) and 0.025 in [pytest.approx(rate) for rate in names.values()]


def test_learning_rate_is_in_proportion_to_the_images_of_a_step() -> None:
    config = Config(
        optimizer=OptimizerConfig(lr=0.02, reference_batch_size=16), train=TrainConfig(batch_size=2, accumulate=4)
    )
    assert full_learning_rate(config) == pytest.approx(0.01)


def test_sgd_with_momentum_and_decay_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    optimizer = build_optimizer(model, OptimizerConfig(momentum=0.5, weight_decay=0.1))
    set_learning_rate(optimizer, 0.1)
    for gradient in (1.0, 3.0):
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
    # v = 1 + 0.1 * 2 = 1.2, w = 1.88; then v = 0.5 * 1.2 + 3 + 0.188 = 3.788, w = 1.5012
    assert model.weight.item() == pytest.approx(1.5012)


def test_adamw_takes_the_decay_out_of_the_gradient() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 2.0)
    optimizer = build_optimizer(model, OptimizerConfig(name="adamw", weight_decay=0.1))
    set_learning_rate(optimizer, 0.01)
    model.weight.grad = torch.full((1, 1), 5.0)
    optimizer.step()
    # the first Adam step is lr * sign(gradient); the decay is lr * 0.1 * w beside it
    assert model.weight.item() == pytest.approx(2.0 - 0.01 * 0.1 * 2.0 - 0.01, abs=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_same_to_the_last_bit_as_torchs_own_classes(name: str) -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 2))
    ours[0].weight.data = ours[0].weight.data.contiguous(memory_format=torch.channels_last)
    theirs = deepcopy(ours)
    config = replace(SETTINGS, name=name)
    optimizer, groups = build_optimizer(ours, config), parameter_groups(theirs, config)
    other: torch.optim.Optimizer = torch.optim.AdamW(groups, lr=config.lr, fused=True)
    if name == "sgd":
        other = torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)
    for step in range(5):
        x = torch.randn(4, 3, 3, 3)
        for model, update in ((ours, optimizer), (theirs, other)):
            model.zero_grad()
            model(x)[:, step % 2].square().sum().backward()
            update.step()
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, reference)
        assert {k: v.tolist() for k, v in optimizer.state[mine].items()} == {
            k: v.tolist() for k, v in other.state[reference].items()
        }


def test_what_has_no_gradient_stays() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = build_optimizer(model, SETTINGS)
    before = deepcopy(model.state_dict())
    model[1](torch.ones(2)).sum().backward()
    optimizer.step()
    same = {name: torch.equal(value, before[name]) for name, value in model.state_dict().items()}
    assert same == {"0.weight": True, "0.bias": True, "1.weight": False, "1.bias": False}
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_torchs_compiler_is_not_imported() -> None:
    """It would take 150 MiB and 1.5 seconds."""
    code = """
import sys
import torch
from maskrcnn.config import OptimizerConfig
from maskrcnn.training.optimizer import build_optimizer
model = torch.nn.Linear(2, 2)
optimizer = build_optimizer(model, OptimizerConfig())
model(torch.ones(2)).sum().backward()
optimizer.step()
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
