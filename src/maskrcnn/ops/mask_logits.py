"""The end of the mask branch: a 2x2 deconvolution with stride 2, a ReLU, and one class's mask as a 1x1 convolution.

Between them the features are four times as large as before, the largest tensor of all heads. A region at a time they
fit into a core's cache.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.ops.convolution import can_fuse
from maskrcnn.ops.linear import linear
from maskrcnn.ops.side_by_side import side_by_side

MaskLogits = Callable[[Tensor, nn.ConvTranspose2d, Tensor, Tensor], Tensor]


def mask_logits_reference(x: Tensor, upsample: nn.ConvTranspose2d, weight: Tensor, bias: Tensor) -> Tensor:
    """The definition, step by step."""
    features = F.relu(upsample(x), inplace=True)
    rows = features.permute(0, 2, 3, 1).flatten(1, 2)  # (R, 2S 2S, K)
    logits = torch.bmm(rows, weight[:, :, None])[..., 0] + bias[:, None]
    return logits.view(-1, *features.shape[-2:])


def mask_logits_by_region(x: Tensor, upsample: nn.ConvTranspose2d, weight: Tensor, bias: Tensor) -> Tensor:
    """The same region by region, without gradients: the deconvolution makes four pixels of one, a linear layer each."""
    regions, channels, height, width = x.shape
    four_layers = upsample.weight.permute(2, 3, 1, 0).reshape(-1, channels)  # (2 2 K, C)
    assert upsample.bias is not None
    four_biases = upsample.bias.repeat(4)
    pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
    logits = x.new_empty(regions, height * width * 4)

    def compute(region: int) -> None:
        features = linear(pixels[region], four_layers, four_biases, relu=True)
        torch.mv(features.view(-1, upsample.out_channels), weight[region], out=logits[region])

    side_by_side(range(regions), compute)
    fours = (logits + bias[:, None]).view(regions, height, width, 2, 2)
    return fours.transpose(2, 3).reshape(regions, 2 * height, 2 * width)


MASK_LOGITS: dict[str, MaskLogits] = {"reference": mask_logits_reference, "by_region": mask_logits_by_region}


def mask_logits(x: Tensor, upsample: nn.ConvTranspose2d, weight: Tensor, bias: Tensor) -> Tensor:
    """Logits (R, 2S, 2S) of one mask for each region, in the fastest way at hand.

    Args:
        x: (R, C, S, S), best in channels-last memory.
        upsample: kernel and stride 2, from C to K channels.
        weight: (R, K) of the class whose mask is wanted.
        bias: (R,).
    """
    way = mask_logits_by_region if can_fuse(x, upsample.weight) else mask_logits_reference
    return way(x, upsample, weight, bias)
