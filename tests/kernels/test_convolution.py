from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskrcnn.kernels.convolution import (
    CONVOLUTION,
    ConvolutionOptions,
    can_fuse,
    computes_in,
    convolve,
    convolve_reference,
    reaching_less_far_back,
)
from maskrcnn.models.backbones.efficientnet_lite import padded_same

WAYS = pytest.mark.parametrize("way", CONVOLUTION)
GEOMETRIES = [
    ConvolutionOptions(padding=(1, 1)),
    ConvolutionOptions(stride=(2, 2), padding=(1, 1), relu=True),
    ConvolutionOptions(padding=(2, 2), dilation=(2, 2), relu=True),
    ConvolutionOptions(padding=(1, 1), groups=4),
    ConvolutionOptions(padding=(1, 1), relu=True, ceiling=0.5),
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
    expected = y.clamp(0, options.ceiling) if options.relu else y
    with torch.no_grad():
        actual = CONVOLUTION[way](x, weight, bias, shortcut, options)
    torch.testing.assert_close(actual.double(), expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("size", [(8, 12), (9, 12), (8, 7), (7, 9)])
@pytest.mark.parametrize("kernel", [3, 5])
def test_tensorflows_padding_by_a_longer_kernel(size: tuple[int, int], kernel: int) -> None:
    """The same products and zeros more, in the outputs and in the gradients."""
    torch.manual_seed(0)
    x, weight = torch.randn(1, 4, *size).double().requires_grad_(), torch.randn(4, 1, kernel, kernel).double()
    weight.requires_grad_()
    longer = reaching_less_far_back(weight, size)
    ours = F.conv2d(x, longer, None, 2, kernel // 2, groups=4)
    theirs = F.conv2d(padded_same(x, kernel), weight, None, 2, groups=4)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)
    assert ours.shape[2:] == (-(-size[0] // 2), -(-size[1] // 2))
    for mine, reference in zip(
        *(torch.autograd.grad(y.square().sum(), (x, weight)) for y in (ours, theirs)), strict=True
    ):
        torch.testing.assert_close(mine, reference, atol=1e-10, rtol=0)


def test_what_cannot_be_fused_goes_the_plain_way() -> None:
    """Gradients, other precisions, empty batches."""
    options = ConvolutionOptions(padding=(1, 1), relu=True)
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    assert not can_fuse(torch.rand(1, 3, 8, 8), weight)
    convolve(torch.rand(1, 3, 8, 8), weight, None, None, options).sum().backward()
    assert weight.grad is not None
    with torch.no_grad():
        assert can_fuse(torch.rand(1, 3, 8, 8), weight)
        assert not can_fuse(torch.rand(1, 3, 8, 8, dtype=torch.double), weight.double())
        assert not can_fuse(torch.rand(1, 3, 8, 8, dtype=torch.bfloat16), weight)  # autocast rounds the weights
        assert convolve(torch.rand(0, 3, 8, 8), weight, None, None, options).shape == (0, 4, 8, 8)
        with torch.autocast("cpu", torch.bfloat16):
            assert convolve(torch.rand(1, 3, 8, 8), weight, None, None, options).dtype == torch.bfloat16


@pytest.mark.parametrize("with_shortcut", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_lower_precision_rounds_the_result_once(dtype: torch.dtype, with_shortcut: bool) -> None:
    """Sums are in float32, also under autocast, which has nothing left to do."""
    if not computes_in(dtype):
        pytest.skip(f"oneDNN has no {dtype} on this processor")
    torch.manual_seed(0)
    x, weight, bias = randn(2, 64, 9, 11).to(dtype), (torch.randn(32, 64, 3, 3) / 24).to(dtype), randn(32, 1, 1, 1)
    bias, shortcut = bias.flatten().to(dtype), randn(2, 32, 9, 11).to(dtype) if with_shortcut else None
    options = ConvolutionOptions(padding=(1, 1), relu=True)
    doubles = None if shortcut is None else shortcut.double()
    exact = convolve_reference(x.double(), weight.double(), bias.double(), doubles, options)
    with torch.no_grad(), torch.autocast("cpu", dtype):
        assert can_fuse(x, weight)
        actual = convolve(x, weight, bias, shortcut, options)
    assert actual.dtype == dtype
    torch.testing.assert_close(actual.double(), exact, atol=1e-3, rtol=2 * torch.finfo(dtype).eps)
