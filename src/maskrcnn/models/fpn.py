"""Feature pyramid network (Lin et al. 2017)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.models.backbones.resnet import ResNet
from maskrcnn.models.norm import conv_norm


class FPN(nn.Module):
    """Top-down pathway with lateral connections (FPN figure 3): P2..P5, and P6 for large anchors.

    Args:
        bottom_up: the network that gives C2..C5.
        channels: width of every level.
        norm: a name from `models.norm.NORMS`, or None.
    """

    def __init__(self, bottom_up: ResNet, channels: int = 256, norm: str | None = None) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.channels = channels
        self.strides = (*bottom_up.strides, 2 * bottom_up.strides[-1])
        self.lateral = nn.ModuleList(conv_norm(c, channels, 1, norm=norm) for c in bottom_up.channels)
        self.output = nn.ModuleList(conv_norm(channels, channels, 3, norm=norm) for _ in bottom_up.channels)
        for layer in (*self.lateral.modules(), *self.output.modules()):
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, a=1)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """P2..P6 of (N, 3, H, W): five (N, channels, h, w) maps at strides 4, 8, 16, 32, 64."""
        laterals = [layer(c) for layer, c in zip(self.lateral, self.bottom_up(pixels), strict=True)]
        top_down = [laterals[-1]]
        for lateral in reversed(laterals[:-1]):
            upsampled = F.interpolate(top_down[0], size=lateral.shape[-2:], mode="nearest")
            top_down.insert(0, lateral + upsampled)
        pyramid = [layer(p) for layer, p in zip(self.output, top_down, strict=True)]
        # P6 is P5 at every second cell (FPN section 4.1, footnote 1); only the RPN uses it.
        return [*pyramid, F.max_pool2d(pyramid[-1], kernel_size=1, stride=2)]
