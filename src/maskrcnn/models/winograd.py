"""Which convolutions go by Winograd's way (`ops.winograd`)."""

from __future__ import annotations

from torch import Tensor, nn

from maskrcnn.ops.convolution import is_plain_float
from maskrcnn.ops.winograd import num_tiles, tile_side

MIN_CHANNELS = 96
"""It was measured to win with so many channels, and to lose with 64: the transforms cost more than they save."""
MIN_TILES_PER_CHANNEL = 0.4
"""And with so many tiles for each channel. Some smaller maps would gain a little, too little for the memory that their
transformed weights take: 10 MiB a layer of 256 channels."""


def suits_winograd(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether Winograd's way computes this convolution of (N, C, H, W), and faster than the usual one."""
    if not is_wide_3x3(conv) or not is_plain_float(x):
        return False
    return num_tiles(x, tile_side(*x.shape[2:])) >= MIN_TILES_PER_CHANNEL * conv.in_channels


def is_wide_3x3(conv: nn.Conv2d) -> bool:
    """Whether it does so on inputs of some size."""
    usual = conv.stride == conv.padding == conv.dilation == (1, 1) and conv.groups == 1
    widths = conv.in_channels, conv.out_channels
    return usual and conv.kernel_size == (3, 3) and min(widths) >= MIN_CHANNELS and not any(w % 16 for w in widths)
