from __future__ import annotations

import pytest
import torch
from torch import nn

from maskrcnn.acceleration.mask_head import (
    MASK_LOGITS,
    REGIONS_AT_ONCE,
    MaskLogits,
    mask_logits,
    mask_logits_by_region,
    mask_logits_reference,
)

EVERY_WAY = pytest.mark.parametrize("way", MASK_LOGITS.values(), ids=MASK_LOGITS.keys())


def upsample(channels: int, out_channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, out_channels, 2, stride=2)


@EVERY_WAY
@torch.no_grad()
def test_by_hand(way: MaskLogits) -> None:
    """A pixel 3 becomes four, 3 w + 1 with weights 1, -1 / 2, 0; negative ones are cut off; then times 10 plus 5."""
    layer = upsample(1, 1)
    layer.weight.copy_(torch.tensor([[[[1.0, -1.0], [2.0, 0.0]]]]))
    nn.init.constant_(layer.bias, 1.0)  # type: ignore[arg-type]
    logits = way(torch.full((1, 1, 1, 1), 3.0), layer, torch.tensor([[10.0]]), torch.tensor([5.0]))
    assert logits.tolist() == [[[45.0, 5.0], [75.0, 15.0]]]


@pytest.mark.parametrize("shape", [(5, 6, 14, 14), (1, 16, 3, 5), (2, 8, 1, 1)])
@pytest.mark.parametrize("channels_last", [True, False])
@torch.no_grad()
def test_both_ways_agree(shape: tuple[int, ...], channels_last: bool) -> None:
    torch.manual_seed(0)
    layer, x = upsample(shape[1], 7), torch.randn(shape)
    x = x.contiguous(memory_format=torch.channels_last) if channels_last else x
    weight, bias = torch.randn(len(x), 7), torch.randn(len(x))
    expected = mask_logits_reference(x, layer, weight, bias)
    actual = mask_logits_by_region(x, layer, weight, bias)
    assert actual.shape == (shape[0], 2 * shape[2], 2 * shape[3]) == expected.shape
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("inference", [True, False])
def test_none(inference: bool) -> None:
    with torch.inference_mode(inference):
        none = mask_logits(torch.empty(0, 4, 7, 7), upsample(4, 4), torch.empty(0, 4), torch.empty(0))
    assert none.shape == (0, 14, 14)


def test_gradients_flow_where_they_are_wanted() -> None:
    layer, x = upsample(4, 4), torch.randn(2, 4, 3, 3, requires_grad=True)
    mask_logits(x, layer, torch.ones(2, 4), torch.zeros(2)).sum().backward()
    assert x.grad is not None and layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("regions", [1, REGIONS_AT_ONCE, 2 * REGIONS_AT_ONCE + 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ways_have_the_same_gradients(regions: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, scale = upsample(6, 7).to(dtype), torch.randn(regions, 10, 14, dtype=dtype)
    inputs = torch.randn(regions, 6, 5, 7), torch.randn(regions, 7), torch.randn(regions)
    results = []
    for way in MASK_LOGITS.values():
        x, weight, bias = (values.to(dtype).requires_grad_() for values in inputs)
        layer.zero_grad()
        (way(x, layer, weight, bias) * scale).sum().backward()
        results.append([x.grad, weight.grad, bias.grad, layer.weight.grad, layer.bias.grad])
    tolerance = 1e-4 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(results[1], results[0], atol=tolerance, rtol=tolerance)


def test_gradients_of_the_fast_way_are_derivatives() -> None:
    torch.manual_seed(0)
    layer = upsample(2, 3).double()
    inputs = [torch.randn(shape).double().requires_grad_() for shape in ((5, 2, 2, 3), (5, 3), (5,))]
    assert torch.autograd.gradcheck(lambda x, weight, bias: mask_logits_by_region(x, layer, weight, bias), inputs)


@EVERY_WAY
def test_no_regions_have_gradients_of_zero(way: MaskLogits) -> None:
    layer, x = upsample(4, 4), torch.empty(0, 4, 3, 3, requires_grad=True)
    way(x, layer, torch.empty(0, 4), torch.empty(0)).sum().backward()
    assert x.grad is not None and layer.weight.grad is not None and not layer.weight.grad.any()
