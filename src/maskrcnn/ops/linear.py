"""relu(W x + b) in one go, as `ops.convolution` does it for convolutions."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.ops.convolution import can_fuse

Linear = Callable[[Tensor, Tensor, Tensor | None, bool], Tensor]


def linear_reference(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """The definition, step by step."""
    y = F.linear(x, weight, bias)
    return F.relu(y) if relu else y


def linear_fused(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """The same by oneDNN, whose products are faster than torch's own; float32 on the CPU, without gradients."""
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "relu" if relu else "none", [], "")
    return y


LINEAR: dict[str, Linear] = {"reference": linear_reference, "fused": linear_fused}


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """relu(W x + b) in the fastest way at hand.

    Args:
        x: (N, C).
        weight: (K, C).
        bias: (K,), or None.
        relu: whether a ReLU follows.

    Returns:
        (N, K).
    """
    way = linear_fused if can_fuse(x) and hasattr(torch.ops.mkldnn, "_linear_pointwise") else linear_reference
    return way(x, weight, bias, relu)
