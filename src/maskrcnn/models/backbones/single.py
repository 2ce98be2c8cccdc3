"""Backbones without a pyramid: one feature map for the RPN and the heads."""

from __future__ import annotations

from torch import Tensor, nn

from maskrcnn.models.backbones.resnet import ResNet


class SingleLevel(nn.Module):
    """The last stage of a ResNet: C4, or C5 (section 3, "Network Architecture")."""

    def __init__(self, bottom_up: ResNet) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.channels: int = bottom_up.channels[-1]
        self.strides: tuple[int, ...] = bottom_up.strides[-1:]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """One (N, channels, h, w) map of (N, 3, H, W)."""
        return self.bottom_up(pixels)[-1:]  # type: ignore[no-any-return]


class ImageItself(nn.Module):
    """No features: regions are cut out of the pixels (R-CNN, Girshick et al. 2014), and `LastMap` sees each alone."""

    channels = 3
    strides: tuple[int, ...] = (1,)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """The pixels."""
        return [pixels]


class LastMap(nn.Module):
    """C5 of a ResNet as the layers behind RoIAlign: in R-CNN the whole network runs on every region."""

    def __init__(self, bottom_up: ResNet) -> None:
        super().__init__()
        self.bottom_up = bottom_up

    def forward(self, regions: Tensor) -> Tensor:
        """(R, 3, S, S) -> (R, C, S / 32, S / 32)."""
        maps: list[Tensor] = self.bottom_up(regions)
        return maps[-1]
