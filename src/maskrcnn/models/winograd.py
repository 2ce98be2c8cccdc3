"""Which convolutions go by Winograd's way (`ops.winograd`), and such a convolution for training."""

from __future__ import annotations

from typing import TypeGuard, TypeVar

from torch import Tensor, nn

from maskrcnn.ops.convolution import is_plain_float
from maskrcnn.ops.winograd import convolve_winograd_with_gradients, num_tiles, tile_side

Model = TypeVar("Model", bound=nn.Module)

MIN_CHANNELS = 96
"""It was measured to win with so many channels, and to lose with 64: the transforms cost more than they save."""
MIN_TILES_PER_CHANNEL = 1 / 4
"""And with so many tiles for each channel: otherwise the transformed weights are read for too little."""


def suits_winograd(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether Winograd's way computes this convolution of (N, C, H, W), and faster than the usual one."""
    if not _is_wide_3x3(conv) or not is_plain_float(x):
        return False
    return num_tiles(x, tile_side(*x.shape[2:])) >= MIN_TILES_PER_CHANNEL * conv.in_channels


def _is_wide_3x3(conv: nn.Conv2d) -> bool:
    usual = conv.stride == conv.padding == conv.dilation == (1, 1) and conv.groups == 1
    widths = conv.in_channels, conv.out_channels
    return usual and conv.kernel_size == (3, 3) and min(widths) >= MIN_CHANNELS and not any(w % 16 for w in widths)


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
