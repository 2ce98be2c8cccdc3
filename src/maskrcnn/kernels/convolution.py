"""relu(W * x + b + shortcut) in one go: the addition and the ReLU happen while the convolution's result is in cache.

Separately, each is a pass over memory; in a residual network on a CPU the passes take as long as a third of the
convolutions themselves. `kernels.winograd` saves arithmetic as well, for the 3x3 convolutions that suit it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.ways import Ways

Pair = tuple[int, int]


@dataclass(frozen=True)
class ConvolutionOptions:
    """The geometry of a convolution, and whether a ReLU follows; pairs are (vertical, horizontal).

    Attributes:
        ceiling: where there is a ReLU, what it cuts off above: 6 for ReLU6.
    """

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    relu: bool = False
    ceiling: float = math.inf


Convolution = Callable[[Tensor, Tensor, Tensor | None, Tensor | None, ConvolutionOptions], Tensor]


def convolve_reference(
    x: Tensor, weight: Tensor, bias: Tensor | None, shortcut: Tensor | None, options: ConvolutionOptions
) -> Tensor:
    """The definition, step by step."""
    y = F.conv2d(x, weight, bias, options.stride, options.padding, options.dilation, options.groups)
    if shortcut is not None:
        y = y + shortcut
    if not options.relu:
        return y
    return F.relu(y) if math.isinf(options.ceiling) else y.clamp(0, options.ceiling)


def convolve_fused(
    x: Tensor, weight: Tensor, bias: Tensor | None, shortcut: Tensor | None, options: ConvolutionOptions
) -> Tensor:
    """The same by oneDNN with the rest attached to the convolution; on the CPU, without gradients.

    The result takes the shortcut's memory: new memory for each block of a network is what costs most.
    """
    geometry = options.padding, options.stride, options.dilation, options.groups
    y: Tensor
    has_ceiling = options.relu and not math.isinf(options.ceiling)
    if shortcut is None:
        after, numbers = (
            ("hardtanh", [0.0, options.ceiling]) if has_ceiling else ("relu" if options.relu else "none", [])
        )
        y = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *geometry, after, numbers, "")
    else:
        relu = "relu" if options.relu else None
        y = torch.ops.mkldnn._convolution_pointwise_.binary(
            shortcut, x, weight, bias, *geometry, "add", 1.0, relu, [], ""
        )
        if has_ceiling:  # which oneDNN attaches to no sum
            y.clamp_(max=options.ceiling)
    return y


def sorted_for(size: torch.Size, weight: Tensor, options: ConvolutionOptions) -> Tensor:
    """Weights in the order that oneDNN wants for an input of this size; it reorders others at every call."""
    geometry = options.padding, options.stride, options.dilation, options.groups
    in_order: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, list(size))
    return in_order


CONVOLUTION: Ways[Convolution] = Ways(reference=convolve_reference, fused=convolve_fused)


def reaching_less_far_back(weight: Tensor, size: Sequence[int]) -> Tensor:
    """A kernel for TensorFlow's "same" padding at stride 2, of input that is padded as usual, by k // 2 on every side.

    Before even sides that padding is one cell shorter, so the kernel begins one cell later: zeros go in front of it. A
    few zero products more, and the input need not be copied into a larger one.

    Args:
        weight: (K, C / groups, k, k), k odd.
        size: (H, W) of the input.
    """
    rows, columns = (1 - side % 2 for side in size)
    return F.pad(weight, (columns, 0, rows, 0))


def is_plain_float(x: Tensor) -> bool:
    """Whether x is float32 on the CPU, with something in it, and stays so."""
    return (
        x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0 and not torch.is_autocast_enabled("cpu")
    )


_ONEDNN_HAS = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}


@cache
def computes_in(dtype: torch.dtype) -> bool:
    """Whether this is a lower precision that oneDNN has on this processor."""
    if dtype not in _ONEDNN_HAS or not torch.backends.mkldnn.is_available():
        return False
    has_it = getattr(torch.ops.mkldnn, _ONEDNN_HAS[dtype], None)
    return has_it is not None and bool(has_it())


def can_fuse(x: Tensor, weight: Tensor) -> bool:
    """Whether `convolve_fused` takes these, here and now: both in float32, or both in a lower precision."""
    is_lower = x.device.type == "cpu" and x.numel() > 0 and x.dtype == weight.dtype and computes_in(x.dtype)
    return (
        (is_plain_float(x) or is_lower)
        and not torch.is_grad_enabled()
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, shortcut: Tensor | None, options: ConvolutionOptions
) -> Tensor:
    """relu(W * x + b + shortcut) in the fastest way that fits.

    Args:
        x: (N, C, H, W), best in channels-last memory.
        weight: (K, C / groups, kh, kw).
        bias: (K,), or None.
        shortcut: (N, K, H', W') to be added, or None; it may be overwritten by the result.
        options: the geometry, and whether a ReLU follows.

    Returns:
        (N, K, H', W').
    """
    way = CONVOLUTION.choose("fused" if can_fuse(x, weight) else "reference")
    return way(x, weight, bias, shortcut, options)
