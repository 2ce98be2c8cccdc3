"""Layers for prediction that do what follows them as well: a ReLU, the sum with a shortcut, the next 1x1 convolution.

Each holds the very parameters of the layer that it replaces.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from maskrcnn.acceleration.choice import suits_winograd
from maskrcnn.kernels.convolution import (
    ConvolutionOptions,
    can_fuse,
    convolve,
    reaching_less_far_back,
    sorted_for,
)
from maskrcnn.kernels.linear import linear
from maskrcnn.kernels.winograd import TILES, WinogradWeight, convolve_winograd, transformed


class FusedConv2d(nn.Conv2d):
    """relu(conv(x) + shortcut); holds the very parameters of the convolution that it replaces.

    Args:
        conv: zero-padded.
        relu: whether a ReLU follows.
        ceiling: what it cuts off above; 6 for ReLU6.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool, ceiling: float = math.inf) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(conv))
        self.relu = relu
        self.ceiling = ceiling
        self.tiles: tuple[int, ...] = TILES  # that its results can bear the rounding error of
        self._sorted: tuple[object, Tensor | None] = None, None

    def __getstate__(self) -> dict[str, Any]:
        """For copies, which reorder their weights themselves."""
        return {**vars(self), "_sorted": (None, None)}

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W) to (N, K, H', W'); a shortcut has the shape of the result, which may overwrite it."""
        if shortcut is None and self._uses_winograd(x):
            return convolve_winograd(x, self._transformed(x), self.bias, relu=self.relu)
        x, shortcut = rounded_like(self.weight, x), None if shortcut is None else rounded_like(self.weight, shortcut)
        return convolve(x, self._weight_for(x), self.bias, shortcut, self._options())

    def forward_into(self, memory: Tensor, x: Tensor) -> Tensor:
        """The result, in memory that may be overwritten, if it fits there and Winograd's algorithm is used."""
        if self._uses_winograd(x):
            return convolve_winograd(x, self._transformed(x), self.bias, relu=self.relu, memory=memory)
        return self(x)  # type: ignore[no-any-return]

    def forward_then(self, x: Tensor, outputs: nn.Conv2d) -> Tensor:
        """The 1x1 convolution `outputs` of the result, which Winograd's algorithm never holds in full."""
        if self._uses_winograd(x):
            then = outputs.weight.flatten(1), outputs.bias
            return convolve_winograd(x, self._transformed(x), self.bias, relu=self.relu, then=then)
        y: Tensor = outputs(self(x))
        return y

    def _uses_winograd(self, x: Tensor) -> bool:
        return math.isinf(self.ceiling) and can_fuse(x, self.weight) and suits_winograd(self, x, self.tiles)

    def _weight_for(self, x: Tensor) -> Tensor:
        """The weights; in a lower precision, from the second input of a size on, as oneDNN wants them for it.

        Reordering them at every call takes a tenth of the time. In float32 it is little, and a copy would be large.
        """
        if x.dtype == torch.float32 or not can_fuse(x, self.weight):
            return self.weight
        changes = None if self.weight.is_inference() else self.weight._version  # made in inference mode: not counted
        wanted = x.shape, self.weight.data_ptr(), changes
        held_for, weight = self._sorted
        if held_for != wanted:
            self._sorted = wanted, None
            return self.weight
        if weight is None:
            weight = sorted_for(x.shape, self.weight, self._options())
            self._sorted = wanted, weight
        return weight

    def _transformed(self, x: Tensor) -> WinogradWeight:
        return transformed(self.weight, x.shape, self.tiles)

    def _options(self) -> ConvolutionOptions:
        assert not isinstance(self.padding, str)
        return ConvolutionOptions(self.stride, self.padding, self.dilation, self.groups, self.relu, self.ceiling)  # type: ignore[arg-type]


class FusedSamePaddedConv2d(FusedConv2d):
    """The same of a `SamePaddedConv2d`."""

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W) to (N, K, ceil(H / 2), ceil(W / 2))."""
        weight, half = reaching_less_far_back(self.weight, x.shape[2:]), self.kernel_size[0] // 2
        options = replace(self._options(), padding=(half, half))
        return convolve(rounded_like(self.weight, x), weight, self.bias, shortcut, options)


class FusedLinear(nn.Linear):
    """relu(W x + b); holds the very parameters of the layer that it replaces."""

    def __init__(self, layer: nn.Linear, relu: bool) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(layer))
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C) to (N, K)."""
        return linear(rounded_like(self.weight, x), self.weight, self.bias, self.relu)


def rounded_like(weight: Tensor, x: Tensor) -> Tensor:
    """The input of a layer whose weights were rounded to a lower precision (`cast_weights`)."""
    return x if weight.dtype == torch.float32 else x.to(weight.dtype)


class FlattenChannelsLast(nn.Module):
    """(N, C, H, W) to (N, H W C): nothing moves if the memory is channels-last."""

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Flatten`, in another order."""
        return x.permute(0, 2, 3, 1).flatten(1)


class FusedBlock(nn.Module):
    """A residual block whose last convolution adds the shortcut."""

    def __init__(self, residual: nn.Sequential, last: FusedConv2d, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual = residual
        self.last = last
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """As `ResidualBlock.forward`; where x is its own shortcut, the result may overwrite it."""
        y: Tensor = self.last(self.residual(x), self.shortcut(x))
        return y
