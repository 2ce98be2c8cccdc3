"""The end of the mask branch: a 2x2 deconvolution with stride 2, a ReLU, and one class's mask as a 1x1 convolution.

Between them the features are four times as large as before, the largest tensor of all heads. A region at a time they
fit into a core's cache, and a few regions at a time their gradients take hardly any memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.kernels.convolution import can_fuse, is_plain_float
from maskrcnn.kernels.linear import linear
from maskrcnn.kernels.threads import in_threads
from maskrcnn.models.mask_head import FCNMaskHead
from maskrcnn.ways import Ways

REGIONS_AT_ONCE = 4
"""Regions whose gradients are computed together."""

MaskLogits = Callable[[Tensor, nn.ConvTranspose2d, Tensor, Tensor], Tensor]


def mask_logits_reference(x: Tensor, upsample: nn.ConvTranspose2d, weight: Tensor, bias: Tensor) -> Tensor:
    """The definition, step by step."""
    features = F.relu(upsample(x), inplace=True)
    rows = features.permute(0, 2, 3, 1).flatten(1, 2)  # (R, 2S 2S, K)
    logits = torch.bmm(rows, weight[:, :, None])[..., 0] + bias[:, None]
    return logits.view(-1, *features.shape[-2:])


def mask_logits_by_region(x: Tensor, upsample: nn.ConvTranspose2d, weight: Tensor, bias: Tensor) -> Tensor:
    """The same region by region: the deconvolution makes four pixels of one, a linear layer each."""
    regions, _, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
    logits: Tensor = _ByRegion.apply(pixels, *four_layers(upsample), weight)
    fours = (logits + bias[:, None]).view(regions, height, width, 2, 2)
    return fours.transpose(2, 3).reshape(regions, 2 * height, 2 * width)


def four_layers(upsample: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    """A 2x2 deconvolution with stride 2, from C to K channels, as a linear layer: weight (2 2 K, C), bias (2 2 K,)."""
    assert upsample.bias is not None
    return upsample.weight.permute(2, 3, 1, 0).flatten(0, 2), upsample.bias.repeat(4)


class _ByRegion(torch.autograd.Function):
    """(R, 4 P) from pixels (R, P, C), four layers (4 K, C) with biases (4 K,), and the regions' own weights (R, K).

    The features between are recomputed for the gradient: kept, they and their gradients would be the largest tensors
    of a training step.
    """

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, layers: Tensor, biases: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(pixels, layers, biases, weight)
        logits = pixels.new_empty(pixels.shape[0], 4 * pixels.shape[1])

        def compute(region: int) -> None:
            features = linear(pixels[region], layers, biases, relu=True)
            torch.mv(features.view(-1, weight.shape[1]), weight[region], out=logits[region])

        in_threads(range(pixels.shape[0]), compute)
        return logits

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        pixels, layers, biases, weight = ctx.saved_tensors
        for_pixels, for_weight = torch.empty_like(pixels), torch.empty_like(weight)
        for_layers, for_biases = torch.zeros_like(layers), torch.zeros_like(biases)
        gradient = gradients[0].unsqueeze(-1)  # (R, 4 P, 1)
        for first in range(0, pixels.shape[0], REGIONS_AT_ONCE):  # in order, so that sums are always the same
            piece = slice(first, first + REGIONS_AT_ONCE)
            rows = pixels[piece].flatten(0, 1)
            features = linear(rows, layers, biases, relu=True)
            outputs = features.view(-1, gradient.shape[1], weight.shape[1])  # (r, 4 P, K)
            for_weight[piece] = torch.bmm(outputs.transpose(1, 2), gradient[piece]).squeeze(-1)
            through_relu = (gradient[piece] * weight[piece, None]).mul_(outputs > 0).view_as(features)
            for_pixels[piece] = linear(through_relu, layers.t(), None, relu=False).view_as(pixels[piece])
            for_layers += linear(through_relu.t(), rows.t(), None, relu=False)
            for_biases += through_relu.sum(dim=0)
        return for_pixels, for_layers, for_biases, for_weight


MASK_LOGITS: Ways[MaskLogits] = Ways(reference=mask_logits_reference, by_region=mask_logits_by_region)


def mask_logits(x: Tensor, upsample: nn.ConvTranspose2d, weight: Tensor, bias: Tensor) -> Tensor:
    """Logits (R, 2S, 2S) of one mask for each region, in the fastest way that fits.

    Args:
        x: (R, C, S, S), best in channels-last memory.
        upsample: kernel and stride 2, from C to K channels.
        weight: (R, K) of the class whose mask is wanted.
        bias: (R,).
    """
    fast = is_plain_float(x) or can_fuse(x, upsample.weight)
    way = MASK_LOGITS.choose("by_region" if fast else "reference")
    return way(x, upsample, weight, bias)


class FastMaskHead(FCNMaskHead):
    """`FCNMaskHead` whose last 1x1 convolution computes the one mask that is wanted, where classes do not compete."""

    def forward(self, roi_features: Tensor, labels: Tensor) -> Tensor:
        """As `MaskHead.forward`."""
        if self.competing:
            return super().forward(roi_features, labels)
        channel = self.mask_index(labels)
        assert self.mask_logits.bias is not None
        own = self.mask_logits.weight[channel, :, 0, 0], self.mask_logits.bias[channel]
        return mask_logits(self.convs(roi_features), self.upsample, *own)
