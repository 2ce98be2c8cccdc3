from __future__ import annotations

import pytest
import torch

from maskrcnn.kernels.linear import LINEAR, linear, linear_with_gradients


@pytest.mark.parametrize("way", LINEAR)
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 300])
def test_equal_to_double_precision(way: str, relu: bool, with_bias: bool, rows: int) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(rows, 48), torch.randn(20, 48)
    bias = torch.randn(20) if with_bias else None
    expected = x.double() @ weight.double().T + (0 if bias is None else bias.double())
    with torch.no_grad():
        actual = LINEAR[way](x, weight, bias, relu)
    torch.testing.assert_close(actual.double(), expected.relu() if relu else expected, atol=1e-5, rtol=1e-5)


def test_what_cannot_be_fused_goes_the_plain_way() -> None:
    """Gradients, other precisions, no rows."""
    weight = torch.randn(4, 3, requires_grad=True)
    linear(torch.rand(2, 3), weight, None, True).sum().backward()
    assert weight.grad is not None
    with torch.no_grad():
        assert linear(torch.rand(0, 3), weight, None, True).shape == (0, 4)
        assert linear(torch.rand(2, 3).double(), weight.double(), None, True).dtype == torch.double


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(
    ("rows", "in_features", "out_features"), [(0, 4, 3), (1, 1, 1), (1, 7, 5), (6, 1, 4), (300, 48, 20)]
)
def test_gradients_are_those_of_double_precision(
    with_bias: bool, rows: int, in_features: int, out_features: int
) -> None:
    """With a slice as input and a gradient that was broadcast, neither of which lies in memory as a matrix does."""
    torch.manual_seed(0)
    x, weight, bias = (
        torch.randn(rows, 2 * in_features),
        torch.randn(out_features, in_features),
        torch.randn(out_features),
    )
    results = []
    for dtype in (torch.float32, torch.float64):
        leaves = [tensor.detach().to(dtype, copy=True).requires_grad_() for tensor in (x, weight, bias)]
        y = linear_with_gradients(leaves[0][:, ::2], leaves[1], leaves[2] if with_bias else None)
        (y.sum() + (y[:, 0] ** 2).sum()).backward()
        results.append([y, *(leaf.grad for leaf in leaves[: 3 if with_bias else 2])])
    for actual, expected in zip(*results, strict=True):
        assert actual is not None and expected is not None
        torch.testing.assert_close(actual.double(), expected, atol=1e-4, rtol=1e-4)


def test_regions_are_flattened_and_their_gradient_is_channels_last() -> None:
    """As RoIAlign leaves them; more than the rows that are reordered at a time."""
    torch.manual_seed(0)
    x = torch.randn(70, 6, 3, 5).contiguous(memory_format=torch.channels_last)
    weight, results = torch.randn(4, 90), []
    for dtype in (torch.float32, torch.float64):
        leaf = x.detach().to(dtype, copy=True).requires_grad_()
        linear_with_gradients(leaf, weight.to(dtype), None).square().sum().backward()
        results.append(leaf.grad)
    actual, expected = results
    assert actual is not None and expected is not None and actual.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(actual.double(), expected, atol=1e-3, rtol=1e-4)
