"""EfficientNet-Lite0: the smallest EfficientNet (Tan & Le 2019) without squeeze-excitation, and with ReLU6 for Swish.

Published by Google in 2020 (github.com/tensorflow/tpu, `efficientnet/lite`). Shapes: N images, H W input pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.models.backbones.backbone import StagedBackbone
from maskrcnn.models.norm import FrozenBatchNorm2d, make_norm

NORM_EPS = 1e-3
"""Of batch norm, as the published weights were trained."""


@dataclass(frozen=True)
class Blocks:
    """A row of EfficientNet's table 1: so many blocks alike, of which the first one strides."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    count: int


STEM_CHANNELS = 32
STEM = (Blocks(3, 1, 1, 16, 1),)
"""The block that is still at stride 2."""
STAGES = (
    (Blocks(3, 2, 6, 24, 2),),
    (Blocks(5, 2, 6, 40, 2),),
    (Blocks(3, 2, 6, 80, 3), Blocks(5, 1, 6, 112, 3)),
    (Blocks(5, 2, 6, 192, 4), Blocks(3, 1, 6, 320, 1)),
)
"""The rest by stride: 4, 8, 16, 32."""


class SamePaddedConv2d(nn.Conv2d):
    """A convolution of stride 2 with TensorFlow's "same" padding, which is one cell shorter before even sides."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, ceil(H / 2), ceil(W / 2))."""
        return super().forward(padded_same(input, self.kernel_size[0]))


def padded_same(x: Tensor, kernel: int) -> Tensor:
    """Maps (N, C, H, W) with the zeros around them that a convolution of stride 2 reads."""
    (top, bottom), (left, right) = (same_padding(side, kernel) for side in x.shape[2:])
    return F.pad(x, (left, right, top, bottom))


def same_padding(side: int, kernel: int) -> tuple[int, int]:
    """Zeros before and behind a side, for an odd kernel of stride 2: k - 2 in all if it is even, k - 1 if it is odd."""
    before = kernel // 2 - 1 + side % 2
    return before, kernel // 2


class InvertedResidual(nn.Module):
    """Widen, convolve every channel by itself, narrow (MobileNetV2, Sandler et al. 2018, figure 4d); x + f(x) if alike.

    Args:
        layers: f, linear at its end.
        has_shortcut: whether x is added.
    """

    def __init__(self, layers: nn.Sequential, has_shortcut: bool) -> None:
        super().__init__()
        self.layers = layers
        self.has_shortcut = has_shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.has_shortcut else y


class EfficientNetLite0(StagedBackbone):
    """The network up to its last block; the stem holds the first one, which does not stride.

    Args:
        in_channels: of the pixels.
        norm: a name from `models.norm.NORMS`.
    """

    def __init__(self, in_channels: int = 3, norm: str = "frozen_bn") -> None:
        stem = nn.Sequential(*_conv(in_channels, STEM_CHANNELS, 3, norm, stride=2), nn.ReLU6(inplace=True))
        ends = [STEM[-1].channels, *(stage[-1].channels for stage in STAGES)]
        stages = [_stage(stage, before, norm) for stage, before in zip(STAGES, ends, strict=False)]
        stem.extend(_stage(STEM, STEM_CHANNELS, norm))
        super().__init__(stem, stages, ends[1:], (4, 8, 16, 32))
        for layer in self.modules():
            if isinstance(layer, FrozenBatchNorm2d | nn.modules.batchnorm._BatchNorm):
                layer.eps = NORM_EPS


def _stage(rows: tuple[Blocks, ...], in_channels: int, norm: str) -> nn.Sequential:
    stage = nn.Sequential()
    for row in rows:
        widths = [in_channels, *[row.channels] * row.count]
        for number, (narrow, wide) in enumerate(pairwise(widths)):
            stage.append(_block(row, narrow, wide, row.stride if number == 0 else 1, norm))
        in_channels = row.channels
    return stage


def _block(row: Blocks, in_channels: int, out_channels: int, stride: int, norm: str) -> InvertedResidual:
    width = in_channels * row.expansion
    widening = [*_conv(in_channels, width, 1, norm), nn.ReLU6(inplace=True)] if row.expansion > 1 else []
    layers = nn.Sequential(
        *widening,
        *_conv(width, width, row.kernel, norm, stride=stride, groups=width),
        nn.ReLU6(inplace=True),
        *_conv(width, out_channels, 1, norm),
    )
    return InvertedResidual(layers, has_shortcut=stride == 1 and in_channels == out_channels)


def _conv(
    in_channels: int, out_channels: int, kernel: int, norm: str, *, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv2d, nn.Module]:
    """A convolution with TensorFlow's "same" padding, which is the usual one at stride 1, and its norm."""
    if stride == 1:
        conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=False)
    else:
        conv = SamePaddedConv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=False)
    # As many outputs as a value goes to: in a depthwise layer the kernel's cells alone.
    nn.init.kaiming_normal_(conv.weight, mode="fan_in" if groups > 1 else "fan_out", nonlinearity="relu")
    return conv, make_norm(norm, out_channels)
