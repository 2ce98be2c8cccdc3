"""Backbones without a pyramid: one feature map for the RPN and the heads, or all for FCN."""

from __future__ import annotations

from torch import Tensor, nn

from maskrcnn.models.backbones.backbone import Backbone


class SingleLevel(nn.Module):
    """The last map of a backbone: C4, or C5 (section 3, "Network Architecture")."""

    def __init__(self, bottom_up: Backbone) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.channels: int = bottom_up.channels[-1]
        self.strides: tuple[int, ...] = bottom_up.strides[-1:]

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """One (N, channels, h, w) map of (N, C, H, W)."""
        return self.bottom_up(pixels)[-1:]


class EveryMap(nn.Module):
    """The maps of a backbone as they are, for what is predicted for every pixel (FCN, Long et al. 2015)."""

    def __init__(self, bottom_up: Backbone) -> None:
        super().__init__()
        self.bottom_up = bottom_up
        self.channels: tuple[int, ...] = bottom_up.channels
        self.strides: tuple[int, ...] = bottom_up.strides

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(N, channels[i], h, w) of (N, C, H, W), finest first."""
        return self.bottom_up(pixels)


class ImageItself(nn.Module):
    """No features: regions are cut out of the pixels (R-CNN, Girshick et al. 2014), and `LastMap` sees each alone."""

    strides: tuple[int, ...] = (1,)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """The pixels (N, channels, H, W)."""
        return [pixels]


class LastMap(nn.Module):
    """C5 as the layers behind RoIAlign: in R-CNN the whole backbone runs on every region."""

    def __init__(self, bottom_up: Backbone) -> None:
        super().__init__()
        self.bottom_up = bottom_up

    def forward(self, regions: Tensor) -> Tensor:
        """(R, C, S, S) -> (R, channels of C5, S / 32, S / 32)."""
        return self.bottom_up(regions)[-1]
