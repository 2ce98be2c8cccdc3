"""3x3 convolution with a quarter of the multiplications, by Winograd's minimal filtering (Lavin & Gray 2015).

A tile of 4 x 4 results depends on 6 x 6 inputs. With d the inputs, g the 3 x 3 weights and the small matrices below,

    Y = A^T [(G g G^T) * (B^T d B)] A        (Lavin & Gray, eq. 11)

where * multiplies element by element: 36 multiplications for 16 results, instead of 144. Summed over the channels, each
of the 36 elements is a matrix product of (tiles, C) by (C, K), which is where the time goes. The transforms are matrix
products too, small ones over all tiles of a strip at once.

The price is rounding: with 256 channels the error is 2e-6 of the result's norm; that of the plain sum is 2e-7.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

TILE = 4
"""Results per side of a tile."""
WINDOW = TILE + 2
"""Inputs per side of a tile; neighbours share two."""
STRIP_TILES = 160
"""So many tiles at a time: their transforms stay in the cache, and the matrix products are large enough."""

# F(4, 3) with the points 0, 1, -1, 2, -2 and infinity (Lavin & Gray, section 4.3).
_B_T = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float64,
)
_G = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_A_T = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float64
)


def transform_weight(weight: Tensor) -> Tensor:
    """(36, C, K) the transformed weights G g G^T of (K, C, 3, 3), computed in double precision."""
    num_out, num_in = weight.shape[:2]
    transform = torch.kron(_G, _G).to(weight.device)
    transformed = transform @ weight.detach().double().reshape(num_out * num_in, 9).T
    return transformed.view(WINDOW**2, num_out, num_in).transpose(1, 2).to(weight.dtype).contiguous()


class _WithGradients(torch.autograd.Function):
    """The gradient for the input is a convolution as well, with the weights turned by 180 degrees."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return convolve_winograd(x, transform_weight(weight), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        for_x, for_weight, for_bias = ctx.needs_input_grad
        turned = transform_weight(weight.flip(2, 3).transpose(0, 1)) if for_x else None
        weights = torch.ops.aten.convolution_backward(
            gradient, x, weight, [len(weight)], [1, 1], [1, 1], [1, 1], False, [0, 0], 1,
            [False, for_weight, for_bias and ctx.has_bias],
        )  # fmt: skip
        return None if turned is None else convolve_winograd(gradient, turned, None), weights[1], weights[2]


def convolve_winograd_with_gradients(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution with stride 1 and padding 1 that can be trained.

    Args:
        x: (N, C, H, W), best in channels-last memory.
        weight: (K, C, 3, 3).
        bias: (K,), or None.
    """
    output: Tensor = _WithGradients.apply(x, weight, bias)
    return output


def convolve_winograd(x: Tensor, transformed: Tensor, bias: Tensor | None, *, relu: bool = False) -> Tensor:
    """A 3x3 convolution with stride 1 and padding 1, then a ReLU if wanted; without gradients.

    Args:
        x: (N, C, H, W), best in channels-last memory.
        transformed: (36, C, K) from `transform_weight`.
        bias: (K,), or None.
        relu: whether a ReLU follows.

    Returns:
        (N, K, H, W) in channels-last memory.
    """
    n, _, height, width = x.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    work = _Strips(x.permute(0, 2, 3, 1), rows, columns, transformed)
    shape = n, transformed.shape[2], TILE * rows, TILE * columns
    output = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    pixels = output.permute(0, 2, 3, 1)
    for images, tile_rows in work.strips():
        result = work.convolve(images, tile_rows)
        strip = pixels[images, TILE * tile_rows.start : TILE * tile_rows.stop].view(result.shape)
        strip.copy_(result) if bias is None else torch.add(result, bias, out=strip)
        if relu:
            strip.relu_()
    if shape[2:] == (height, width):
        return output
    return output[:, :, :height, :width].contiguous(memory_format=torch.channels_last)


class _Strips:
    """The work of one convolution, strip by strip, in memory that every strip uses again.

    A strip is a few tile rows of one image, or, where images are small (RoI features), a few whole images.

    Args:
        x: (N, H, W, C).
        rows: of tiles in an image.
        columns: of tiles in an image.
        transformed: (36, C, K).
    """

    def __init__(self, x: Tensor, rows: int, columns: int, transformed: Tensor) -> None:
        self.x, self.rows, self.columns, self.transformed = x, rows, columns, transformed
        self.strip_images = max(1, min(len(x), STRIP_TILES // (rows * columns)))
        self.strip_rows = min(rows, max(1, STRIP_TILES // columns))
        _, c, k = transformed.shape
        tiles = self.strip_images * self.strip_rows * columns
        # The frame of zeros around an image stays; only what is inside is written anew for each strip.
        self.padded = x.new_zeros(self.strip_images, TILE * self.strip_rows + 2, TILE * columns + 2, c)
        self.windows, self.half_transformed = x.new_empty(2, tiles * WINDOW**2 * max(c, k))
        self.products = x.new_empty(tiles * WINDOW**2 * k)
        self.results = x.new_empty(tiles * TILE**2 * k)
        self.input_transform, self.output_transform = _B_T.to(x), _A_T.to(x)

    def strips(self) -> list[tuple[slice, slice]]:
        """Which images and which tile rows each strip covers."""
        return [
            (slice(i, min(i + self.strip_images, len(self.x))), slice(r, min(r + self.strip_rows, self.rows)))
            for i in range(0, len(self.x), self.strip_images)
            for r in range(0, self.rows, self.strip_rows)
        ]

    def convolve(self, images: slice, tile_rows: slice) -> Tensor:
        """(images, tile rows, 4, columns, 4, K) of a strip, without the bias: a view whose pixels lie in order."""
        n, rows, columns = images.stop - images.start, tile_rows.stop - tile_rows.start, self.columns
        positions, c, k = self.transformed.shape
        tiles = n * rows * columns

        windows = self.windows[: positions * tiles * c].view(WINDOW, WINDOW, n, rows, columns, c)
        windows.copy_(self._pad(images, tile_rows))
        transforms = self._transform(self.input_transform, windows, windows)
        products = self.products[: positions * tiles * k].view(positions, tiles, k)
        torch.bmm(transforms.view(positions, tiles, c), self.transformed, out=products)
        results = self._transform(self.output_transform, products, self.results[: TILE**2 * tiles * k])
        return results.view(TILE, TILE, n, rows, columns, k).permute(2, 3, 0, 4, 1, 5)

    def _transform(self, matrix: Tensor, squares: Tensor, output: Tensor) -> Tensor:
        """M d M^T of every square d in (6, 6, ...), first along the columns, then along the rows, into `output`."""
        size, length = len(matrix), squares.numel() // WINDOW**2
        half = self.half_transformed[: size * WINDOW * length]
        torch.mm(matrix, squares.view(WINDOW, -1), out=half.view(size, -1))
        rows = half.view(size, WINDOW, length)
        torch.bmm(matrix.expand(size, -1, -1), rows, out=output.view(size, size, length))
        return output

    def _pad(self, images: slice, tile_rows: slice) -> Tensor:
        """(6, 6, images, tile rows, columns, C) the overlapping windows of a strip, zero outside the image."""
        n, rows = images.stop - images.start, tile_rows.stop - tile_rows.start
        _, height, width, _ = self.x.shape
        top, bottom = TILE * tile_rows.start - 1, TILE * tile_rows.stop + 1
        first, last = max(top, 0), min(bottom, height)
        padded = self.padded[:n, : bottom - top]
        padded[:, : first - top] = 0
        padded[:, last - top :] = 0
        padded[:, first - top : last - top, 1 : width + 1] = self.x[images, first:last]
        image, row, column, channel = self.padded.stride()
        return padded.as_strided(
            (WINDOW, WINDOW, n, rows, self.columns, padded.shape[-1]),
            (row, column, image, TILE * row, TILE * column, channel),
        )
