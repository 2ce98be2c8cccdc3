"""Which convolutions go by Winograd's way (`ops.winograd`), and such a convolution for training."""

from __future__ import annotations

from typing import TypeGuard, TypeVar

from torch import Tensor, nn

from maskrcnn.ops.convolution import is_plain_float
from maskrcnn.ops.winograd import TILE, convolve_winograd_with_gradients

Model = TypeVar("Model", bound=nn.Module)

MIN_CHANNELS = 256
"""It was measured to win with so many channels, and to lose with 192 and fewer, ..."""
MIN_TILES = 100
"""... and to win with 120 tiles of 4 x 4, and to lose with 70: the transformed weights are read for too little."""


def suits_winograd(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether Winograd's way computes this convolution of (N, C, H, W), and faster than the usual one."""
    tiles = len(x) * -(-x.shape[2] // TILE) * -(-x.shape[3] // TILE)
    return _is_wide_3x3(conv) and tiles >= MIN_TILES and is_plain_float(x)


def _is_wide_3x3(conv: nn.Conv2d) -> bool:
    usual = conv.stride == conv.padding == conv.dilation == (1, 1) and conv.groups == 1
    return usual and conv.kernel_size == (3, 3) and min(conv.in_channels, conv.out_channels) >= MIN_CHANNELS


class WinogradConv2d(nn.Conv2d):
    """Winograd's way where it is faster; holds the very parameters of the convolution that it replaces."""

    def __init__(self, conv: nn.Conv2d) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(conv))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, H, W)."""
        if suits_winograd(self, x):
            return convolve_winograd_with_gradients(x, self.weight, self.bias)
        return super().forward(x)


def is_plain_convolution(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether it is torch's own convolution or a `WinogradConv2d`, padded with a number of zeros."""
    return (
        type(layer) in (nn.Conv2d, WinogradConv2d)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def use_winograd(model: Model) -> Model:
    """Replace the wide 3x3 convolutions in place; names and values of the parameters stay."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if is_plain_convolution(child) and _is_wide_3x3(child):
                setattr(module, name, WinogradConv2d(child))
    return model
