"""The gradients of a 3x3 convolution by Winograd's minimal filtering (`kernels.winograd`), for a fraction of the work.

That of the input is a convolution as well, with the weights turned by 180 degrees. That of the weights is the transpose
of eq. 11: from Y = A^T [U * V] A with U = G g G^T and V = B^T d B, of every tile,

    dU = (A dY A^T) * V,    dg = G^T dU G,

where dU, summed over all tiles, is a matrix product of (K, tiles) by (tiles, C) at each of the n x n elements.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor

from maskrcnn.kernels.threads import in_threads
from maskrcnn.kernels.tiles import Block, WindowTransform, block_sizes, blocks, tile_grid
from maskrcnn.kernels.winograd import (
    convolve_winograd,
    input_transform,
    matrices,
    tile_side,
    transformed,
    weight_matrix,
)

BLOCKS_AT_ONCE = 2
"""Blocks that are transformed before their products are added to the gradient of the weights, in one go."""


def convolve_winograd_with_gradients(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 3x3 convolution with stride 1 and padding 1 that can be trained.

    Args:
        x: (N, C, H, W), best in channels-last memory.
        weight: (K, C, 3, 3).
        bias: (K,), or None.
    """
    output: Tensor = _WithGradients.apply(x, weight, bias)
    return output


@cache
def gradient_transform(tile: int) -> WindowTransform:
    """A dY A^T of the gradients of the results."""
    return WindowTransform(matrices(tile)[2].T, tile, margin=0)


class _WithGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return convolve_winograd(x, transformed(weight, x.shape), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        for_x, for_weight, for_bias = ctx.needs_input_grad
        weights_own = weight_gradient(x, gradient) if for_weight else None
        del x
        ctx.maybe_clear_saved_tensors()  # the input is large, and so is its gradient
        return (
            input_gradient(gradient, weight) if for_x else None,
            weights_own,
            gradient.sum(dim=(0, 2, 3)) if for_bias else None,
        )


def input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    """(N, C, H, W) from (N, K, H, W) and the weights (K, C, 3, 3)."""
    turned = weight.flip(2, 3).transpose(0, 1)
    return convolve_winograd(gradient, transformed(turned, gradient.shape), None)


def weight_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """(K, C, 3, 3) from (N, C, H, W) and (N, K, H, W); sums in a fixed order, whichever thread does what."""
    n, in_channels, height, width = x.shape
    tile, out_channels = tile_side(x.shape), gradient.shape[1]
    elements = (tile + 2) ** 2
    pixels, gradients = (values.permute(0, 2, 3, 1).contiguous() for values in (x, gradient))
    products = x.new_zeros(elements, out_channels, in_channels)

    def transform_block(work: tuple[Block, Tensor, Tensor]) -> None:
        block, inputs, results = work
        inputs.copy_(input_transform(tile)(pixels, block))
        results.copy_(gradient_transform(tile)(gradients, block))

    for strip in _strips(list(blocks(n, *tile_grid(height, width, tile)))):
        sizes = [math.prod(block_sizes(block)) for block in strip]
        inputs = x.new_empty(sum(sizes), elements, in_channels)
        results = x.new_empty(sum(sizes), elements, out_channels)
        in_threads(zip(strip, inputs.split(sizes), results.split(sizes), strict=True), transform_block)
        products.baddbmm_(results.permute(1, 2, 0), inputs.transpose(0, 1))
    kernels = weight_matrix(tile).T.to(x) @ products.flatten(1)
    return kernels.view(3, 3, out_channels, in_channels).permute(2, 3, 0, 1)


def _strips(all_blocks: list[Block]) -> list[list[Block]]:
    return [all_blocks[first : first + BLOCKS_AT_ONCE] for first in range(0, len(all_blocks), BLOCKS_AT_ONCE)]
