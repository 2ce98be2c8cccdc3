"""Which convolutions use Winograd's algorithm (`kernels.winograd`)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from maskrcnn.kernels.convolution import is_plain_float
from maskrcnn.kernels.winograd import TILES, num_tiles, tile_side

MIN_CHANNELS = {4: 96, 5: 96, 6: 64, 7: 96}
"""Channels from which on it was measured to be faster, by the side of a tile; with fewer, the transforms cost more than
they save."""
MIN_TILES = 64
"""Tiles from which on it is: for fewer, transforming the weights takes longer than it saves."""
MIN_PRODUCTS = 2_800_000
"""Tiles times input times output channels from which on it is: small maps of few channels are faster the usual way."""


def suits_winograd(conv: nn.Conv2d, x: Tensor, allowed: Sequence[int] = TILES) -> bool:
    """Whether Winograd's algorithm, with the tiles allowed, is the fastest for this convolution of (N, C, H, W)."""
    if not is_wide_3x3(conv) or not is_plain_float(x):
        return False
    tile = tile_side(x.shape, allowed)
    tiles = num_tiles(x.shape, tile)
    enough = tiles >= MIN_TILES and tiles * conv.in_channels * conv.out_channels >= MIN_PRODUCTS
    return enough and _narrow_side(conv) >= MIN_CHANNELS[tile]


def is_wide_3x3(conv: nn.Conv2d) -> bool:
    """Whether it does so on inputs of some size."""
    usual = conv.stride == conv.padding == conv.dilation == (1, 1) and conv.groups == 1
    whole_vectors = conv.in_channels % 16 == 0 and conv.out_channels % 16 == 0
    return usual and conv.kernel_size == (3, 3) and whole_vectors and _narrow_side(conv) >= min(MIN_CHANNELS.values())


def _narrow_side(conv: nn.Conv2d) -> int:
    return min(conv.in_channels, conv.out_channels)
