"""relu(W x + b) in one go, as `kernels.convolution` does it for convolutions; and W x + b with its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.kernels.convolution import can_fuse, is_plain_float
from maskrcnn.ways import Ways

Linear = Callable[[Tensor, Tensor, Tensor | None, bool], Tensor]


def linear_reference(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """The definition, step by step."""
    y = F.linear(x, weight, bias)
    return F.relu(y) if relu else y


def linear_fused(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """The same by oneDNN, whose products are faster than torch's own; on the CPU, without gradients."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "relu" if relu else "none", [], "")
    return y


LINEAR: Ways[Linear] = Ways(reference=linear_reference, fused=linear_fused)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """relu(W x + b) in the fastest way that fits.

    Args:
        x: (N, C).
        weight: (K, C).
        bias: (K,), or None.
        relu: whether a ReLU follows.

    Returns:
        (N, K).
    """
    way = LINEAR.choose("fused" if can_fuse(x, weight) and _has_onednn() else "reference")
    return way(x, weight, bias, relu)


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


ROWS_AT_ONCE = 64
"""Rows of a gradient that are put into another order at a time."""


class _WithGradients(torch.autograd.Function):
    """Y = X W^T + b, dX = dY W, dW = dY^T X: oneDNN reads a transposed matrix as it lies."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.shape = x.shape
        rows = x.flatten(1).contiguous()
        ctx.save_for_backward(rows, weight)
        return linear_fused(rows, weight, bias, relu=False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        for_x, for_weight, for_bias = ctx.needs_input_grad
        weight_gradient = linear_fused(gradient.t(), rows.t(), None, relu=False) if for_weight else None
        del rows
        ctx.maybe_clear_saved_tensors()  # the input may be large, and so is its gradient
        x_gradient = _unflatten(linear_fused(gradient, weight.t(), None, relu=False), ctx.shape) if for_x else None
        return x_gradient, weight_gradient, gradient.sum(dim=0) if for_bias else None


def _unflatten(rows: Tensor, shape: torch.Size) -> Tensor:
    """(N, C, H, W) in channels-last memory from (N, C H W), in the memory of the rows; (N, C) stays."""
    if len(shape) == 2:
        return rows
    n, channels, *sides = shape
    for part in rows.split(ROWS_AT_ONCE):
        part.copy_(part.view(part.shape[0], channels, -1).transpose(1, 2).flatten(1))
    return rows.view(n, *sides, channels).movedim(-1, 1)


def linear_with_gradients(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """W x + b that can be trained, in the fastest way that fits.

    Args:
        x: (N, C), or (N, C', H, W) of which all but N is flattened.
        weight: (K, C).
        bias: (K,), or None.

    Returns:
        (N, K).
    """
    if not (is_plain_float(x) and x.dim() in (2, 4) and weight.is_contiguous() and _has_onednn()):
        return F.linear(x.flatten(1), weight, bias)
    output: Tensor = _WithGradients.apply(x, weight, bias)
    return output
