"""The RPN's head for training on the CPU: a gradient that visits only the cells whose anchors the loss has drawn.

The loss draws 256 anchors of an image's tens of thousands, so nearly all outputs have a gradient of exactly zero. The
way back starts at the few cells that have another: what the 3x3 convolution found there is computed again from their
3 x 3 neighbours, and only these neighbours receive anything. On the way forward nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.models.rpn import RPNHead, outputs_of_cells
from maskrcnn.models.winograd import suits_winograd
from maskrcnn.ops.convolution import ConvolutionOptions, convolve, is_plain_float
from maskrcnn.ops.winograd import WinogradWeight, convolve_winograd, tile_side

MAX_SHARE = 1 / 4
"""With a larger share of cells that have a gradient, the usual way is taken: the neighbours overlap too often."""


class TrainableRPNHead(RPNHead):
    """Holds the very parameters of the head that it replaces, which has a single 3x3 convolution."""

    def __init__(self, head: RPNHead) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(head))

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """As `RPNHead.forward`."""
        if not all(is_plain_float(x) for x in features):
            return super().forward(features)
        (conv,), (logits, deltas) = self.convs, (self.objectness, self.deltas)
        assert isinstance(conv, nn.Conv2d) and logits.bias is not None and deltas.bias is not None
        weight, bias = torch.cat([logits.weight, deltas.weight]).flatten(1), torch.cat([logits.bias, deltas.bias])
        cells = _Outputs.apply(conv, conv.weight, conv.bias, weight, bias, *features)
        return outputs_of_cells(cells, logits.out_channels)


class _Outputs(torch.autograd.Function):
    """relu(W * x + b) V^T + c of every cell (N, h, w, L) of every level x (N, C, h, w)."""

    @staticmethod
    def forward(
        ctx: Any, conv: nn.Conv2d, weight: Tensor, bias: Tensor, out_weight: Tensor, out_bias: Tensor, *levels: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(weight, bias, out_weight, out_bias, *levels)
        transformed: dict[int, WinogradWeight] = {}  # for all levels
        outputs = []
        for x in levels:
            if suits_winograd(conv, x):
                tile = tile_side(*x.shape[2:])
                if tile not in transformed:
                    transformed[tile] = WinogradWeight.transform(weight, tile)
                y = convolve_winograd(x, transformed[tile], bias, relu=True, then=(out_weight, out_bias))
            else:
                hidden = convolve(x, weight, bias, None, ConvolutionOptions(padding=(1, 1), relu=True))
                y = F.conv2d(hidden, out_weight[:, :, None, None], out_bias)
            outputs.append(y.permute(0, 2, 3, 1))
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        weight, bias, out_weight, _, *levels = ctx.saved_tensors
        rows = [gradient.flatten(0, 2) for gradient in gradients]
        cells = [(level != 0).any(dim=1).nonzero()[:, 0] for level in rows]
        if sum(map(len, cells)) > MAX_SHARE * sum(map(len, rows)):
            return None, *_gradients_of_all_cells(gradients, ctx.saved_tensors)
        neighbours = [_neighbours(own, x) for own, x in zip(cells, levels, strict=True)]
        patches = torch.cat([_rows(x, own) for x, own in zip(levels, neighbours, strict=True)]).flatten(1)  # (M, 9 C)
        kernel = weight.permute(0, 2, 3, 1).flatten(1)  # (K, 9 C)
        hidden = F.linear(patches, kernel, bias).relu_()
        out_gradient = torch.cat([level[own] for level, own in zip(rows, cells, strict=True)])
        hidden_gradient = (out_gradient @ out_weight).mul_(hidden > 0)
        patch_gradients = (hidden_gradient @ kernel).unflatten(1, (9, -1)).split([len(own) for own in cells])
        return (
            None,
            (hidden_gradient.T @ patches).unflatten(1, (3, 3, -1)).permute(0, 3, 1, 2),
            hidden_gradient.sum(dim=0),
            out_gradient.T @ hidden,
            out_gradient.sum(dim=0),
            *(_sum_at(*level) for level in zip(patch_gradients, neighbours, levels, strict=True)),
        )


def _neighbours(cells: Tensor, x: Tensor) -> Tensor:
    """(M, 9) the 3 x 3 rows around each cell (M,) of x (N, C, h, w) as a table (N h w, C); -1 outside the image."""
    height, width = x.shape[2:]
    steps = torch.tensor([-1, 0, 1])
    y = (cells // width % height)[:, None, None] + steps[:, None]
    x_ = (cells % width)[:, None, None] + steps
    inside = (y >= 0) & (y < height) & (x_ >= 0) & (x_ < width)
    around = cells[:, None, None] + steps[:, None] * width + steps
    return torch.where(inside, around, -1).flatten(1)


def _rows(x: Tensor, neighbours: Tensor) -> Tensor:
    """(M, 9, C) the values there, zero outside."""
    table = x.permute(0, 2, 3, 1).flatten(0, 2)
    return table[neighbours.clamp(min=0)].masked_fill_((neighbours < 0)[..., None], 0)


def _sum_at(values: Tensor, neighbours: Tensor, x: Tensor) -> Tensor:
    """(N, C, h, w): the sum of all values (M, 9, C) that belong to a cell; the transpose of `_rows`."""
    n, channels, height, width = x.shape
    table: Tensor = torch.ops.aten.embedding_dense_backward(values, neighbours, n * height * width, -1, False)
    return table.view(n, height, width, channels).permute(0, 3, 1, 2)


def _gradients_of_all_cells(gradients: Sequence[Tensor], inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """The usual way; what autograd would have done."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in inputs]
        weight, bias, out_weight, out_bias, *levels = leaves
        hidden = [F.relu(F.conv2d(x, weight, bias, padding=1), inplace=True) for x in levels]
        outputs = [F.conv2d(h, out_weight[:, :, None, None], out_bias).permute(0, 2, 3, 1) for h in hidden]
        return torch.autograd.grad(outputs, leaves, list(gradients))
