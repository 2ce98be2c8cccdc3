from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskrcnn.kernels.winograd_gradients import (
    convolve_winograd_with_gradients,
    weight_gradient,
)


def weight_gradient_direct(x: torch.Tensor, gradient: torch.Tensor, out_channels: int) -> torch.Tensor:
    """Torch's own."""
    weight = x.new_zeros(out_channels, x.shape[1], 3, 3, requires_grad=True)
    F.conv2d(x, weight, padding=1).backward(gradient)
    assert weight.grad is not None
    return weight.grad


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("size", [(5, 6), (7, 7), (17, 3)])
def test_gradients(with_bias: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(shape).double().requires_grad_() for shape in ((2, 3, *size), (4, 3, 3, 3), (4,)))
    arguments = (x, weight, bias if with_bias else None)
    assert torch.autograd.gradcheck(convolve_winograd_with_gradients, arguments)


@pytest.mark.parametrize(
    "size",
    [
        (1, 1, 1),  # less than a tile
        (2, 7, 7),
        (30, 14, 14),  # several blocks of images, the last one shorter
        (1, 3, 400),  # a row of several blocks
        (3, 70, 90),  # several strips of blocks, tiles that reach over the edge
    ],
)
def test_the_gradient_of_the_weights_is_the_usual_one(size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    n, height, width = size
    x, gradient = randn(n, 6, height, width).double(), randn(n, 5, height, width).double()
    expected = weight_gradient_direct(x, gradient, 5)
    torch.testing.assert_close(weight_gradient(x, gradient), expected, atol=1e-10, rtol=1e-10)


def test_a_single_pixel() -> None:
    """It meets the middle weight alone: the gradient there is the product of the two, elsewhere zero."""
    expected = torch.zeros(1, 1, 3, 3)
    expected[0, 0, 1, 1] = 6.0
    gradient = weight_gradient(torch.full((1, 1, 1, 1), 3.0), torch.full((1, 1, 1, 1), 2.0))
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("size", [(2, 64, 48), (40, 14, 14)])
def test_the_rounding_error_is_bounded(size: tuple[int, int, int]) -> None:
    """At a width it is used for, with inputs as after a ReLU: the norm of the error, and the worst single value."""
    torch.manual_seed(0)
    n, height, width = size
    x, gradient = randn(n, 128, height, width).relu(), randn(n, 128, height, width)
    exact = weight_gradient_direct(x.double(), gradient.double(), 128)
    error = weight_gradient(x, gradient).double() - exact
    assert error.norm() / exact.norm() < 1e-5
    assert error.abs().max() / exact.abs().max() < 5e-5
