"""Feature pyramid network (Lin et al. 2017)."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.errors import UserError
from maskrcnn.models.backbones.backbone import Backbone
from maskrcnn.models.norm import conv_norm


class FPN(nn.Module):
    """Top-down pathway with lateral connections (FPN figure 3): P2..P5, and P6 for large anchors.

    Args:
        bottom_up: the network that gives C2..C5.
        channels: width of every level.
        norm: a name from `models.norm.NORMS`, or None.

    Raises:
        UserError: maps that are not each half the size of the one before.
    """

    def __init__(self, bottom_up: Backbone, channels: int = 256, norm: str | None = None) -> None:
        super().__init__()
        if any(coarse != 2 * fine for fine, coarse in pairwise(bottom_up.strides)):
            raise UserError(
                "backbone.features: a pyramid (fpn) needs a backbone whose strides double from map to map, got strides "
                f"{bottom_up.strides}"
            )
        self.bottom_up = bottom_up
        self.channels = channels
        self.strides = (*bottom_up.strides, 2 * bottom_up.strides[-1])
        self.lateral = nn.ModuleList(conv_norm(c, channels, 1, norm=norm) for c in bottom_up.channels)
        self.output = nn.ModuleList(conv_norm(channels, channels, 3, norm=norm) for _ in bottom_up.channels)
        for layer in (*self.lateral.modules(), *self.output.modules()):
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, a=1)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """P2..P6 of (N, C, H, W): five (N, channels, h, w) maps at strides 4, 8, 16, 32, 64."""
        maps = list(self.bottom_up(pixels))  # each is freed as soon as it is used: the fine ones are large
        top_down: Tensor = self.lateral[-1](maps.pop())
        pyramid: list[Tensor] = [self.output[-1](top_down)]
        for lateral, output in zip(reversed(self.lateral[:-1]), reversed(self.output[:-1]), strict=True):
            fine = lateral(maps.pop())
            top_down = fine + F.interpolate(top_down, size=fine.shape[-2:], mode="nearest")
            pyramid.insert(0, output(top_down))
        # P6 is P5 at every second cell (FPN section 4.1, footnote 1); only the RPN uses it.
        return [*pyramid, F.max_pool2d(pyramid[-1], kernel_size=1, stride=2)]
