"""ResNet (He et al. 2016) and ResNeXt (Xie et al. 2017).

Shapes: N images, H W input pixels. Stage outputs C2..C5 have strides 4, 8, 16, 32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

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
    "resnext50_32x4d": ResNetLayout((3, 4, 6, 3), groups=32, group_width=4),
    "resnext101_32x4d": ResNetLayout((3, 4, 23, 3), groups=32, group_width=4),
    "resnext101_32x8d": ResNetLayout((3, 4, 23, 3), groups=32, group_width=8),
    "resnext101_64x4d": ResNetLayout((3, 4, 23, 3), groups=64, group_width=4),
}


class Block(nn.Module):
    """y = relu(F(x) + x); the shortcut is projected where the shape changes (ResNet, eq. 2)."""

    def __init__(self, residual: nn.Sequential, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual = residual
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H / stride, W / stride)."""
        return F.relu(self.residual(x) + self.shortcut(x), inplace=True)


def _basic(in_channels: int, out_channels: int, stride: int, norm: str) -> nn.Sequential:
    return nn.Sequential(
        *conv_norm(in_channels, out_channels, 3, stride=stride, norm=norm),
        nn.ReLU(inplace=True),
        *conv_norm(out_channels, out_channels, 3, norm=norm),
    )


def _bottleneck(
    in_channels: int, width: int, out_channels: int, stride: int, groups: int, norm: str, stride_in_1x1: bool
) -> nn.Sequential:
    first, second = (stride, 1) if stride_in_1x1 else (1, stride)
    return nn.Sequential(
        *conv_norm(in_channels, width, 1, stride=first, norm=norm),
        nn.ReLU(inplace=True),
        *conv_norm(width, width, 3, stride=second, groups=groups, norm=norm),
        nn.ReLU(inplace=True),
        *conv_norm(width, out_channels, 1, norm=norm),
    )


class ResNet(nn.Module):
    """The bottom-up network.

    Args:
        layout: one of `RESNETS`.
        norm: a name from `models.norm.NORMS`.
        stem_channels: channels after the first convolution, 64 in the papers.
        stride_in_1x1: where bottlenecks stride.
        frozen_stages: this many of (stem, stage 2, ..., stage 5) keep their weights and statistics in training.
    """

    strides = (4, 8, 16, 32)

    def __init__(
        self,
        layout: ResNetLayout,
        *,
        norm: str = "frozen_bn",
        stem_channels: int = 64,
        stride_in_1x1: bool = False,
        frozen_stages: int = 0,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *conv_norm(3, stem_channels, 7, stride=2, norm=norm),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        expansion = 4 if layout.bottleneck else 1
        self.channels = tuple(stem_channels * expansion * 2**i for i in range(4))
        self.stages = nn.ModuleList()
        in_channels = stem_channels
        for i, (out_channels, num_blocks) in enumerate(zip(self.channels, layout.blocks, strict=True)):
            stage = nn.Sequential()
            for block in range(num_blocks):
                stride = 2 if i > 0 and block == 0 else 1
                if layout.bottleneck:
                    width = layout.groups * layout.group_width * 2**i * stem_channels // 64
                    residual = _bottleneck(in_channels, width, out_channels, stride, layout.groups, norm, stride_in_1x1)
                else:
                    residual = _basic(in_channels, out_channels, stride, norm)
                same_shape = in_channels == out_channels and stride == 1
                shortcut = (
                    nn.Identity() if same_shape else conv_norm(in_channels, out_channels, 1, stride=stride, norm=norm)
                )
                stage.append(Block(residual, shortcut))
                in_channels = out_channels
            self.stages.append(stage)
        self.frozen = [self.stem, *self.stages][:frozen_stages]
        for part in self.frozen:
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> ResNet:
        """Frozen stages stay in eval mode, so that their batch statistics do not move either."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """C2..C5 of (N, 3, H, W): four maps at strides 4, 8, 16, 32."""
        x = self.stem(pixels)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
