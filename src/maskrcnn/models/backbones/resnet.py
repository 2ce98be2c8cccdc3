"""ResNet (He et al. 2016) and ResNeXt (Xie et al. 2017).

Shapes: N images, H W input pixels. Stage outputs C2..C5 have strides 4, 8, 16, 32.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from math import gcd

import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.errors import UserError
from maskrcnn.models.backbones.backbone import StagedBackbone
from maskrcnn.models.norm import conv_norm


@dataclass(frozen=True)
class ResNetLayout:
    """What tells the members of the family apart (ResNet table 1, ResNeXt table 1).

    Attributes:
        blocks: residual blocks in the stages 2 to 5.
        bottleneck: 1x1 - 3x3 - 1x1 blocks, four times as wide at the end, instead of two 3x3.
        groups: cardinality of the 3x3.
        group_width: channels per group in stage 2, doubled in every later stage.
    """

    blocks: tuple[int, int, int, int]
    bottleneck: bool = True
    groups: int = 1
    group_width: int = 64


RESNETS: dict[str, ResNetLayout] = {
    "resnet18": ResNetLayout((2, 2, 2, 2), bottleneck=False),
    "resnet34": ResNetLayout((3, 4, 6, 3), bottleneck=False),
    "resnet50": ResNetLayout((3, 4, 6, 3)),
    "resnet101": ResNetLayout((3, 4, 23, 3)),
    "resnet152": ResNetLayout((3, 8, 36, 3)),
}


def resnet_layout(name: str) -> ResNetLayout | None:
    """One of `RESNETS`, or a ResNeXt such as "resnext101_32x8d": depth, groups, channels per group; None if neither."""
    if name in RESNETS:
        return RESNETS[name]
    parts = re.fullmatch(r"resnext(50|101|152)_(\d{1,3})x(\d{1,3})d", name)
    if parts is None or not int(parts[2]) or not int(parts[3]):
        return None
    return replace(RESNETS[f"resnet{parts[1]}"], groups=int(parts[2]), group_width=int(parts[3]))


class ResidualBlock(nn.Module):
    """y = relu(F(x) + x); the shortcut is projected where the shape changes (ResNet, eq. 2)."""

    def __init__(self, residual: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        return F.relu(self.residual(x) + self.shortcut(x), inplace=True)


@dataclass(frozen=True)
class Convolutions:
    """What the convolutions of a stage have in common.

    Attributes:
        norm: a name from `models.norm.NORMS`.
        norm_eps: of frozen batch norm.
        stride: of the stage's first block.
        dilation: of all 3x3 convolutions.
        stride_in_1x1: where bottlenecks stride.
    """

    norm: str
    norm_eps: float = 1e-5
    stride: int = 1
    dilation: int = 1
    stride_in_1x1: bool = False

    def make(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
        """A convolution and its norm."""
        dilation = self.dilation if kernel == 3 else 1
        return conv_norm(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            dilation=dilation,
            groups=groups,
            norm=self.norm,
            norm_eps=self.norm_eps,
        )


def _basic(convs: Convolutions, in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *convs.make(in_channels, out_channels, 3, stride),
        nn.ReLU(inplace=True),
        *convs.make(out_channels, out_channels, 3),
    )


def _bottleneck(
    convs: Convolutions, in_channels: int, width: int, out_channels: int, stride: int, groups: int
) -> nn.Sequential:
    first, second = (stride, 1) if convs.stride_in_1x1 else (1, stride)
    return nn.Sequential(
        *convs.make(in_channels, width, 1, first),
        nn.ReLU(inplace=True),
        *convs.make(width, width, 3, second, groups),
        nn.ReLU(inplace=True),
        *convs.make(width, out_channels, 1),
    )


def _stage(
    layout: ResNetLayout, convs: Convolutions, in_channels: int, width: int, out_channels: int, num_blocks: int
) -> nn.Sequential:
    """The blocks of one stage; the first strides and changes the number of channels."""
    stage = nn.Sequential()
    for block in range(num_blocks):
        stride = convs.stride if block == 0 else 1
        if layout.bottleneck:
            residual = _bottleneck(convs, in_channels, width, out_channels, stride, layout.groups)
        else:
            residual = _basic(convs, in_channels, out_channels, stride)
        same_shape = in_channels == out_channels and stride == 1
        shortcut = nn.Identity() if same_shape else convs.make(in_channels, out_channels, 1, stride)
        stage.append(ResidualBlock(residual, shortcut))
        in_channels = out_channels
    return stage


def _group_width(layout: ResNetLayout, first_width: int) -> int:
    """Channels per group in stage 2 of a network that is narrower or wider than the papers', with 64."""
    width, rest = divmod(layout.group_width * first_width, 64)
    if rest:
        raise UserError(
            f"resnet.stem_channels (or stage_channels, where set): expected a multiple of "
            f"{64 // gcd(64, layout.group_width)}, so that a group of the 3x3 convolutions has whole channels; "
            f"got {first_width}"
        )
    return width


class ResNet(StagedBackbone):
    """The bottom-up network.

    Args:
        layout: one of `RESNETS`, or from `resnet_layout`.
        in_channels: of the pixels.
        norm: a name from `models.norm.NORMS`.
        norm_eps: of frozen batch norm.
        stem_channels: channels after the first convolution, 64 in the papers.
        stage_channels: width of stage 2, 64 in the papers; None: as the stem.
        stride_in_1x1: where bottlenecks stride.
        stage5_stride: 1 keeps the resolution of C4.
        stage5_dilation: of its 3x3 convolutions.

    Raises:
        UserError: a width that a ResNeXt's groups cannot have.
    """

    def __init__(
        self,
        layout: ResNetLayout,
        *,
        in_channels: int = 3,
        norm: str = "frozen_bn",
        norm_eps: float = 1e-5,
        stem_channels: int = 64,
        stage_channels: int | None = None,
        stride_in_1x1: bool = False,
        stage5_stride: int = 2,
        stage5_dilation: int = 1,
    ) -> None:
        convs = Convolutions(norm, norm_eps, stride_in_1x1=stride_in_1x1)
        stem = nn.Sequential(
            *convs.make(in_channels, stem_channels, 7, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        first_width = stage_channels or stem_channels
        channels = [first_width * (4 if layout.bottleneck else 1) * 2**i for i in range(4)]
        stages = []
        for i, (stage_in, stage_out) in enumerate(pairwise([stem_channels, *channels])):
            own = replace(convs, stride=(1, 2, 2, stage5_stride)[i], dilation=(1, 1, 1, stage5_dilation)[i])
            width = _group_width(layout, first_width) * layout.groups * 2**i
            stages.append(_stage(layout, own, stage_in, width, stage_out, layout.blocks[i]))
        super().__init__(stem, stages, channels, (4, 8, 16, 16 * stage5_stride))
