"""3x3 convolution with a fraction of the multiplications, by Winograd's minimal filtering (Lavin & Gray 2015).

A tile of m x m results depends on n x n inputs, n = m + 2. With d the inputs, g the 3 x 3 weights and three small
matrices,

    Y = A^T [(G g G^T) * (B^T d B)] A        (Lavin & Gray, eq. 11)

where * multiplies element by element: for m = 6, 64 multiplications for 36 results, instead of 324. Summed over the
channels, each of the n x n elements is a matrix product of (tiles, C) by (C, K), which is where the time goes.

The price is rounding: with 256 channels the error is 4e-6 of the result's norm, and 1e-5 for m = 7; that of the plain
sum is 2e-7.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from maskrcnn.kernels.linear import linear
from maskrcnn.kernels.threads import in_threads
from maskrcnn.kernels.tiles import (
    BLOCK_TILES,
    PLANS,
    Block,
    TileTransform,
    WindowTransform,
    block_sizes,
    blocks,
    tile_grid,
)
from maskrcnn.kernels.weighted_sums import PlannedSums

TILES = (4, 5, 6)
"""Results per side of a tile, for results that more digits depend on."""
ROUGH_TILES = (5, 7)
"""The same where an error four times as large does no harm: those of 7 fit maps of 14 x 14 exactly."""
LEAST_TILES = 64
"""The fewest tiles in a block for packed weights; missing ones are zeros (`_can_pack`)."""
TRANSFORM_TILES = 100
"""Transforming the weights takes about as long as this many tiles."""

_POINTS = {
    4: (0.0, 1.0, -1.0, 2.0, -2.0),
    5: (0.0, 1.0, -1.0, 2.0, -2.0, 0.5),
    6: (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5),
    7: (0.0, 1.0, -1.0, 1.25, -1.25, 0.375, -0.375, -3.25),
}
"""Where the polynomials behind the algorithm are evaluated, besides infinity: numbers exact in binary, of those tried
the ones with the least rounding error. 1 must be among them (`WinogradWeight.constants`)."""


@cache
def matrices(tile: int) -> tuple[Tensor, Tensor, Tensor]:
    """B^T (n, n), G (n, 3) and A^T (m, n) for tiles of m results, in double precision.

    Evaluated at n points, the product of two polynomials is n multiplications (Toom and Cook); transposed, that
    multiplication becomes the correlation of inputs and weights that a convolution is.
    """
    points = torch.tensor(_POINTS[tile], dtype=torch.float64)
    size = points.shape[0] + 1  # infinity is the last point: there, only the highest coefficient counts
    differences = points[:, None] - points
    scale = torch.cat([differences.fill_diagonal_(1).prod(dim=1), torch.ones(1, dtype=torch.float64)])[:, None]

    def evaluate(num_coefficients: int) -> Tensor:
        powers = points[:, None] ** torch.arange(num_coefficients)
        return torch.cat([powers, torch.eye(num_coefficients, dtype=torch.float64)[-1:]])

    b_t = (torch.linalg.inv(evaluate(size)).T * scale).round(decimals=12)  # exact zeros, which cost nothing
    return b_t, evaluate(3) / scale, evaluate(tile).T.contiguous()


@cache
def weight_matrix(tile: int) -> Tensor:
    """(n n, 9), what makes G g G^T of the nine weights of g."""
    _, g, _ = matrices(tile)
    return torch.kron(g, g)


def tile_side(shape: torch.Size, tiles: Sequence[int] = TILES) -> int:
    """Which of the tiles suits maps (N, C, H, W) best.

    Large ones save multiplications; small ones waste fewer beyond the edge, and their transformed weights are smaller.
    """
    return min(tiles, key=lambda tile: (num_tiles(shape, tile) + TRANSFORM_TILES) * (tile + 2) ** 2)


def num_tiles(shape: torch.Size, tile: int) -> int:
    """How many tiles maps (N, C, H, W) have."""
    return shape[0] * math.prod(tile_grid(shape[2], shape[3], tile))


@cache
def input_transform(tile: int) -> WindowTransform:
    """B^T d B of the inputs."""
    return WindowTransform(matrices(tile)[0], tile, margin=1)


@cache
def output_transform(tile: int) -> TileTransform:
    """A^T p A of the products."""
    return TileTransform(matrices(tile)[2])


@dataclass(frozen=True)
class WinogradWeight:
    """Transformed weights G g G^T.

    Attributes:
        values: (n n, C, K); or, if `packed`, the same in an order of oneDNN's own.
        in_channels: C.
        out_channels: K.
        tile: m.
        packed: whether oneDNN computes the products.
    """

    values: Tensor
    in_channels: int
    out_channels: int
    tile: int
    packed: bool

    @classmethod
    def transform(cls, weight: Tensor, tile: int, packed: bool = True) -> WinogradWeight:
        """From (K, C, 3, 3); `packed` if that can be."""
        out_channels, in_channels = weight.shape[:2]
        packed = packed and _can_pack(weight)
        table = weight.detach().permute(0, 2, 3, 1).contiguous().view(-1, in_channels)  # (K 3 3, C)
        sums = _weight_transform(tile, out_channels, weight.dtype, by_element=packed).of(table)
        if packed:
            values = _pack(sums.view(-1, out_channels, in_channels))
        else:
            values = sums.view(out_channels, -1, in_channels).permute(1, 2, 0)
        return cls(values, in_channels, out_channels, tile, packed)

    def multiply(self, squares: Tensor, constants: Tensor) -> Tensor:
        """(tiles, n n, K): `constants` (n n, K), plus the product at each of the n n elements of (tiles, n n, C)."""
        if not self.packed:
            of_elements = torch.bmm(squares.transpose(0, 1), self.values)
            of_elements[self._bias_element] += constants[self._bias_element]  # the others are zero
            return of_elements.transpose(0, 1)
        tiles, positions, channels = squares.shape
        # The elements as the groups of a 1x1 convolution, whose pixels are the tiles.
        pixels = squares.view(1, 1, tiles, positions * channels).permute(0, 3, 1, 2)
        products: Tensor = torch.ops.mkldnn._convolution_pointwise(
            pixels, self.values, constants.flatten(), [0, 0], [1, 1], [1, 1], positions, "none", [], ""
        )
        return products.permute(0, 2, 3, 1).view(tiles, positions, self.out_channels)

    def constants(self, bias: Tensor | None) -> Tensor:
        """(n n, K), what adds a bias (K,) to all results of a tile when it is added to the products."""
        shape = (self.tile + 2) ** 2, self.out_channels
        constants = torch.zeros(shape, dtype=self.values.dtype, device=self.values.device)
        if bias is not None:
            constants[self._bias_element] = bias
        return constants

    @property
    def _bias_element(self) -> int:
        """The element at the point 1 of both axes, which A^T takes to every result alike."""
        one = _POINTS[self.tile].index(1)
        return one * (self.tile + 2) + one


@lru_cache(PLANS)
def _weight_transform(tile: int, out_channels: int, dtype: torch.dtype, by_element: bool) -> PlannedSums:
    """G g G^T from the weights' table (K 3 3, C): (n n, K, C) if `by_element`, or else (K, n n, C) in half the time."""
    matrix, rows = weight_matrix(tile).to(dtype), torch.arange(out_channels * 9).view(out_channels, 9)
    return PlannedSums.of_groups(matrix[:, None, None] if by_element else matrix, rows)


def _can_pack(weight: Tensor) -> bool:
    """Whether oneDNN wants the weights in the same order for every block.

    It reorders others at every call, in ten times the time of the products. With AVX-512 and widths
    that are powers of two, the order is the same for `LEAST_TILES` and more, and for any number of threads. With AVX2,
    or 192 channels, one core by itself wants another one than several together.
    """
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and all(channels.bit_count() == 1 for channels in weight.shape[:2])
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_reorder_convolution_weight")
    )


def _pack(values: Tensor) -> Tensor:
    """(n n, K, C) as the weights of a grouped 1x1 convolution, in the order that oneDNN wants for a block."""
    positions, out_channels, in_channels = values.shape
    grouped = values.view(positions * out_channels, in_channels, 1, 1)
    input_size = [1, positions * in_channels, 1, BLOCK_TILES]
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
        grouped, [0, 0], [1, 1], [1, 1], positions, input_size
    )
    return packed


_transform: ContextVar[Callable[[Tensor, int, bool], WinogradWeight]] = ContextVar("_transform")


def transformed(weight: Tensor, shape: torch.Size, tiles: Sequence[int] = TILES) -> WinogradWeight:
    """Weights (K, C, 3, 3) for inputs of this shape (N, C, H, W), and the one of the tiles that suits them.

    For a single block, putting them into oneDNN's order would take longer than its products save.
    """
    tile = tile_side(shape, tiles)
    return _transform.get(WinogradWeight.transform)(weight, tile, num_tiles(shape, tile) > BLOCK_TILES)


@contextmanager
def transforming_once() -> Iterator[None]:
    """In here, the same weights are transformed once; the transformed ones are freed at the end.

    They take four to seven times the memory of the weights, and if kept, lie between the tensors of the next image.
    """
    token = _transform.set(cache(WinogradWeight.transform))
    try:
        yield
    finally:
        _transform.reset(token)


def convolve_winograd(
    x: Tensor,
    weight: WinogradWeight,
    bias: Tensor | None,
    *,
    relu: bool = False,
    then: tuple[Tensor, Tensor | None] | None = None,
    memory: Tensor | None = None,
) -> Tensor:
    """A 3x3 convolution with stride 1 and padding 1, then a ReLU and a 1x1 convolution if wanted; without gradients.

    Args:
        x: (N, C, H, W), best in channels-last memory.
        weight: transformed.
        bias: (K,), or None.
        relu: whether a ReLU follows.
        then: weight (L, K) and bias (L,) of a 1x1 convolution that follows; what it reads never lies in memory in full.
        memory: a tensor of x's type that may be overwritten; a result of its shape takes its place.

    Returns:
        (N, K, H, W), or (N, L, H, W), in channels-last memory.
    """
    n, _, height, width = x.shape
    shape = n, weight.out_channels if then is None else then[0].shape[0], height, width
    if memory is not None and memory.shape == shape and memory.is_contiguous(memory_format=torch.channels_last):
        output = memory
    else:
        output = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    pixels, results = x.permute(0, 2, 3, 1).contiguous(), output.permute(0, 2, 3, 1)
    transform, transform_back = input_transform(weight.tile), output_transform(weight.tile)
    constants = weight.constants(bias)

    def convolve(block: Block) -> None:
        sizes = block_sizes(block)
        num_zeros = max(0, LEAST_TILES - math.prod(sizes)) if weight.packed else 0
        products = weight.multiply(transform(pixels, block, num_zeros), constants)
        images, tile_rows, tile_columns = block
        place = results[
            images,
            weight.tile * tile_rows.start : weight.tile * tile_rows.stop,
            weight.tile * tile_columns.start : weight.tile * tile_columns.stop,
        ]
        computed = transform_back(products, sizes)[:, : place.shape[1], : place.shape[2]]
        if then is not None:
            rows = computed.relu_() if relu else computed
            place.copy_(linear(rows.flatten(0, -2), *then, relu=False).view(place.shape))
        elif relu:
            torch.clamp_min(computed, 0, out=place)
        else:
            place.copy_(computed)

    in_threads(blocks(n, *tile_grid(height, width, weight.tile)), convolve)
    return output
