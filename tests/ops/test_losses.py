from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from maskrcnn.ops.losses import classification_loss, mask_loss, objectness_loss, smooth_l1


def test_smooth_l1_by_hand() -> None:
    difference = torch.tensor([0.5, -2.0])
    assert smooth_l1(difference, 0).item() == 2.5
    assert smooth_l1(difference, 1.0).item() == pytest.approx(0.125 + 1.5)


def test_smooth_l1_equals_the_golden_values(shared: Path) -> None:
    golden = load_file(shared / "golden/ops/losses.safetensors")
    for name, beta in (("0.0000", 0.0), ("0.1111", 1 / 9), ("0.5000", 0.5), ("1.0000", 1.0)):
        value = smooth_l1(golden["pred"] - golden["target"], beta)
        torch.testing.assert_close(value, golden[f"smooth_l1.{name}"].sum())


def test_undecided_predictions_cost_log_2() -> None:
    assert objectness_loss(torch.zeros(4), torch.tensor([1, 0, 1, 1])).item() == pytest.approx(4 * math.log(2))
    assert mask_loss(torch.zeros(2, 3, 3), torch.ones(2, 3, 3)).item() == pytest.approx(math.log(2))
    logits = torch.zeros(5, 3)
    assert classification_loss(logits, torch.tensor([0, 1, 2, 2, 2])).item() == pytest.approx(math.log(3))


def test_nothing_costs_nothing_and_has_a_gradient() -> None:
    logits = torch.zeros(0, 3, requires_grad=True)
    masks = torch.zeros(0, 28, 28, requires_grad=True)
    total = (
        classification_loss(logits, torch.zeros(0, dtype=torch.int64))
        + objectness_loss(logits[:, 0], torch.zeros(0))
        + mask_loss(masks, torch.zeros(0, 28, 28))
        + smooth_l1(torch.zeros(0, 4), 1 / 9)
    )
    assert total.item() == 0
    total.backward()


def test_gradients_in_float64() -> None:
    torch.manual_seed(0)
    values = torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(4, 3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: mask_loss(v, targets), values)
    assert torch.autograd.gradcheck(lambda v: smooth_l1(v, 0.3), values)
