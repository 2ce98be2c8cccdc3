from __future__ import annotations

import pytest
import torch
from torch import nn

from maskrcnn.training.ema import EMA


def model_with(value: float) -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    return model


def test_by_hand() -> None:
    model = model_with(0.0)
    ema = EMA(model, 0.5)
    for step, value in ((1000, 8.0), (1001, 4.0)):
        nn.init.constant_(model.weight, value)
        ema.update(model, step)
    assert ema.model.weight.item() == pytest.approx(0.5 * 4 + 0.5 * 4.0)


def test_the_start_is_soon_forgotten() -> None:
    model = model_with(0.0)
    ema = EMA(model, 0.999)
    nn.init.constant_(model.weight, 1.0)
    ema.update(model, 0)
    assert ema.model.weight.item() == pytest.approx(0.9)  # keeps 1 / 10
    ema.update(model, 1)
    assert ema.model.weight.item() == pytest.approx(1 - 0.1 * 2 / 11)


def test_statistics_are_averaged_and_counters_copied() -> None:
    model = nn.BatchNorm1d(1)
    ema = EMA(model, 0.5)
    model.running_mean.fill_(2.0)
    model.num_batches_tracked.fill_(7)
    ema.update(model, 1000)
    assert ema.model.running_mean.item() == pytest.approx(1.0)
    assert ema.model.num_batches_tracked.item() == 7


def test_the_average_is_a_copy_in_eval_mode_without_gradients() -> None:
    model = model_with(1.0).train()
    ema = EMA(model, 0.9)
    assert not ema.model.training and not any(p.requires_grad for p in ema.model.parameters())
    assert model.training and model.weight.requires_grad
    with torch.no_grad():
        model.weight.add_(1)
    assert ema.model.weight.item() == 1.0
