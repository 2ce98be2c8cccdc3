"""Group norm on a CPU, against the same in float64."""

from __future__ import annotations

from io import BytesIO

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.kernels.group_norm import GroupNorm, group_norm_two_pass

CASES = [
    (1, 64, 40, 60, 32, 30.0),  # two channels in a group, far from 0 beside how they vary
    (2, 64, 128, 96, 32, 0.0),  # long sums
    (30, 32, 7, 7, 32, 3.0),
    (3, 12, 5, 1, 4, 1.0),
    (1, 8, 1, 1, 2, 1.0),
]


def maps(batch: int, channels: int, height: int, width: int, mean: float) -> Tensor:
    """Channels-last, each channel around a mean of its own."""
    values = torch.randn(batch, channels, height, width) + mean * torch.randn(1, channels, 1, 1)
    return values.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("case", CASES)
def test_as_exact_as_float32_is(case: tuple[int, int, int, int, int, float]) -> None:
    torch.manual_seed(0)
    *shape, groups, mean = case
    x, weight, bias = maps(*shape, mean), torch.rand(shape[1]) + 0.5, torch.randn(shape[1])
    exact = F.group_norm(x.double(), groups, weight.double(), bias.double())
    found = group_norm_two_pass(x, groups, weight, bias, 1e-5)
    # What rounding the mean alone costs, which may be many times the deviation from it.
    error = (found.double() - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert error < 1.5e-7 * max(1, mean)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_worked_by_hand() -> None:
    """Channels 1, 3 and 10, 10 in groups of two: 2 -+ 1, and what does not vary becomes its bias."""
    x = torch.tensor([1.0, 3.0, 10.0, 10.0]).view(1, 4, 1, 1)
    found = group_norm_two_pass(x, 2, torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.0, 1.0, 2.0, 3.0]), 0.25)
    expected = torch.tensor([-1 / 1.25**0.5, 1 + 2 / 1.25**0.5, 2.0, 3.0]).view(1, 4, 1, 1)
    torch.testing.assert_close(found, expected)


def test_the_layer_chooses() -> None:
    """Two passes for prediction alone; with gradients and in other orders of memory PyTorch's own."""
    torch.manual_seed(0)
    layer, x = GroupNorm(4, 16), maps(2, 16, 9, 7, 3.0)
    torch.nn.init.normal_(layer.weight)
    own = torch.nn.GroupNorm.forward(layer, x)
    assert torch.equal(layer(x), own)
    with torch.no_grad():
        two_pass = group_norm_two_pass(x, 4, layer.weight, layer.bias, layer.eps)
        assert torch.equal(layer(x), two_pass) and not torch.equal(two_pass, own)
        torch.testing.assert_close(two_pass, own)
        assert torch.equal(layer(x.contiguous()), torch.nn.GroupNorm.forward(layer, x.contiguous()))


def test_recordings_hold_one_operator() -> None:
    """What two passes do depends on the size, which is open in a graph."""
    onnx = pytest.importorskip("onnx")
    layer, x, file = GroupNorm(4, 16).eval(), maps(2, 16, 9, 7, 3.0), BytesIO()
    with torch.no_grad():
        torch.onnx.export(layer, (x,), file, dynamo=False, opset_version=18)
        exported = torch.export.export(layer, (x,)).graph
    kinds = [node.op_type for node in onnx.load_from_string(file.getvalue()).graph.node]
    assert kinds.count("InstanceNormalization") == 1 and "Split" not in kinds and "ReduceMean" not in kinds
    assert [str(node.target) for node in exported.nodes if node.op == "call_function"] == ["aten.group_norm.default"]


@pytest.mark.parametrize("shape", [(0, 8, 7, 7), (0, 8, 1, 1)])
def test_without_regions(shape: tuple[int, int, int, int]) -> None:
    with torch.no_grad():
        assert GroupNorm(4, 8)(torch.zeros(shape).to(memory_format=torch.channels_last)).shape == shape
    assert group_norm_two_pass(torch.zeros(shape), 4, torch.ones(8), torch.ones(8), 1e-5).shape == shape
