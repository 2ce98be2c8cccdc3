from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskrcnn.ops.convolution import CONVOLUTION, ConvolutionOptions, can_fuse, convolve, convolve_reference
from maskrcnn.ops.winograd import convolve_winograd, convolve_winograd_with_gradients, transform_weight

WAYS = pytest.mark.parametrize("way", CONVOLUTION)
GEOMETRIES = [
    ConvolutionOptions(padding=(1, 1)),
    ConvolutionOptions(stride=(2, 2), padding=(1, 1), relu=True),
    ConvolutionOptions(padding=(2, 2), dilation=(2, 2), relu=True),
    ConvolutionOptions(padding=(1, 1), groups=4),
]


def randn(*shape: int, channels_last: bool = True) -> torch.Tensor:
    x = torch.randn(*shape)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


@WAYS
def test_by_hand(way: str) -> None:
    """A 1x1 convolution 2 x - 1, plus the shortcut, cut off at zero."""
    x = torch.tensor([[[[1.0, 2.0], [0.0, -3.0]]]])
    shortcut = torch.tensor([[[[0.0, -5.0], [2.0, 1.0]]]])
    with torch.no_grad():
        y = CONVOLUTION[way](
            x, torch.full((1, 1, 1, 1), 2.0), torch.tensor([-1.0]), shortcut, ConvolutionOptions(relu=True)
        )
    assert y.tolist() == [[[[1.0, 0.0], [1.0, 0.0]]]]


@WAYS
@pytest.mark.parametrize("options", GEOMETRIES)
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("with_shortcut", [True, False])
@pytest.mark.parametrize("channels_last", [True, False])
def test_equal_to_separate_steps_in_double_precision(
    way: str, options: ConvolutionOptions, with_bias: bool, with_shortcut: bool, channels_last: bool
) -> None:
    torch.manual_seed(0)
    x, weight = randn(2, 16, 11, 9, channels_last=channels_last), torch.randn(24, 16 // options.groups, 3, 3) / 12
    bias = torch.randn(24) if with_bias else None
    y = F.conv2d(
        x.double(),
        weight.double(),
        None if bias is None else bias.double(),
        options.stride,
        options.padding,
        options.dilation,
        options.groups,
    )
    shortcut = randn(*y.shape, channels_last=channels_last) if with_shortcut else None
    y = y if shortcut is None else y + shortcut
    expected = y.relu() if options.relu else y
    before = None if shortcut is None else shortcut.clone()
    with torch.no_grad():
        actual = CONVOLUTION[way](x, weight, bias, shortcut, options)
    torch.testing.assert_close(actual.double(), expected, atol=2e-6, rtol=1e-5)
    assert before is None or torch.equal(before, shortcut)  # type: ignore[arg-type]


def test_what_cannot_be_fused_goes_the_plain_way() -> None:
    """Gradients, other precisions, empty batches."""
    options = ConvolutionOptions(padding=(1, 1), relu=True)
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    assert not can_fuse(torch.rand(1, 3, 8, 8))
    convolve(torch.rand(1, 3, 8, 8), weight, None, None, options).sum().backward()
    assert weight.grad is not None
    with torch.no_grad():
        assert can_fuse(torch.rand(1, 3, 8, 8)) and not can_fuse(torch.rand(1, 3, 8, 8, dtype=torch.double))
        assert convolve(torch.rand(0, 3, 8, 8), weight, None, None, options).shape == (0, 4, 8, 8)
        with torch.autocast("cpu", torch.bfloat16):
            assert convolve(torch.rand(1, 3, 8, 8), weight, None, None, options).dtype == torch.bfloat16


def test_winograd_of_a_single_pixel() -> None:
    """Only the middle weight meets the pixel; the frame around it is zero."""
    weight = torch.arange(9.0).view(1, 1, 3, 3)
    y = convolve_winograd(torch.full((1, 1, 1, 1), 3.0), transform_weight(weight), torch.tensor([-1.0]))
    torch.testing.assert_close(y, torch.full((1, 1, 1, 1), 11.0))


@pytest.mark.parametrize(
    "shape",
    [
        (1, 6, 4, 4),  # one tile
        (2, 6, 5, 7),  # tiles that reach over the edge
        (1, 6, 3, 400),  # a row with more tiles than a strip
        (1, 6, 90, 50),  # several strips of rows, the last one shorter
        (30, 6, 14, 14),  # several strips of images, the last one shorter
        (3, 6, 70, 90),  # both
    ],
)
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("with_bias", [True, False])
def test_winograd_computes_the_convolution(shape: tuple[int, ...], relu: bool, with_bias: bool) -> None:
    torch.manual_seed(0)
    x, weight = randn(*shape).double(), torch.randn(5, 6, 3, 3).double()
    bias = torch.randn(5).double() if with_bias else None
    expected = convolve_reference(x, weight, bias, None, ConvolutionOptions(padding=(1, 1), relu=relu))
    actual = convolve_winograd(x, transform_weight(weight), bias, relu=relu)
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected, atol=1e-11, rtol=1e-11)


def test_the_rounding_error_of_winograd_is_bounded() -> None:
    """At the width it is used for, with inputs as after a ReLU: the norm of the error, and the worst single value."""
    torch.manual_seed(0)
    x, weight = randn(1, 256, 64, 48).relu(), torch.randn(256, 256, 3, 3) / 48
    exact = F.conv2d(x.double(), weight.double(), padding=1)
    error = convolve_winograd(x, transform_weight(weight), None).double() - exact
    assert error.norm() / exact.norm() < 4e-6
    assert error.abs().max() / exact.abs().max() < 2e-5


@pytest.mark.parametrize("with_bias", [True, False])
def test_the_gradients_of_winograd(with_bias: bool) -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(shape).double().requires_grad_() for shape in ((2, 3, 5, 6), (4, 3, 3, 3), (4,)))
    arguments = (x, weight, bias if with_bias else None)
    assert torch.autograd.gradcheck(convolve_winograd_with_gradients, arguments)
