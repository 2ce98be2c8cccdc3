"""The pyramid with less memory: its finest level holds the largest tensors of all.

They share memory in prediction, and one of them is recomputed for the gradient in training.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from maskrcnn.acceleration.layers import FusedConv2d
from maskrcnn.kernels.convolution import is_plain_float
from maskrcnn.models.fpn import FPN


def add_upsampled(x: Tensor, coarse: Tensor) -> Tensor:
    """Add the nearest-neighbour upsampling of `coarse` (FPN figure 3).

    Args:
        x: (N, C, h, w); without gradients, the result may take its memory.
        coarse: (N, C, h', w'); without gradients and if sides are just twice as long, its upsampling never lies in
            memory.
    """
    if x.requires_grad or x.shape[-2:] != (2 * coarse.shape[-2], 2 * coarse.shape[-1]):
        # In training as well: the gradient of the broadcast sum below takes 30 times as long.
        return x + F.interpolate(coarse, size=x.shape[-2:], mode="nearest")
    pairs = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (N, C, h', 2, w', 2)
    pairs.add_(coarse[:, :, :, None, :, None])
    return x


class _FPNByLevel(FPN):
    """`FPN` with one level as a method."""

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """As `FPN.forward`."""
        maps = list(self.bottom_up(pixels))
        top_down: Tensor = self.lateral[-1](maps.pop())
        pyramid: list[Tensor] = [self.output[-1](top_down)]
        for lateral, output in zip(reversed(self.lateral[:-1]), reversed(self.output[:-1]), strict=True):
            top_down, level = self._level(lateral, output, maps.pop(), top_down)
            pyramid.insert(0, level)
        return [*pyramid, F.max_pool2d(pyramid[-1], kernel_size=1, stride=2)]

    def _level(self, lateral: nn.Module, output: nn.Module, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """The top-down map at the stride of `fine`, from the one above it, and the pyramid's level."""
        top_down = add_upsampled(lateral(fine), coarse)
        return top_down, output(top_down)


class FusedFPN(_FPNByLevel):
    """For prediction: each level takes the memory of the map that it was made from, where it fits there."""

    def _level(self, lateral: nn.Module, output: nn.Module, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        if not (isinstance(output, nn.Sequential) and len(output) == 1 and isinstance(output[0], FusedConv2d)):
            return super()._level(lateral, output, fine, coarse)
        top_down = add_upsampled(lateral(fine), coarse)
        return top_down, output[0].forward_into(fine, top_down)  # nothing else reads the backbone's map


class RecomputingFPN(_FPNByLevel):
    """For training: the finest top-down map, a 1x1 convolution and a sum, is recomputed for the gradient, not kept."""

    def _level(self, lateral: nn.Module, output: nn.Module, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        is_finest, is_plain = lateral is self.lateral[0], len(list(lateral.children())) == 1
        if not (is_finest and is_plain and is_plain_float(fine)):
            return super()._level(lateral, output, fine, coarse)
        top_down = add_upsampled(lateral(fine), coarse)
        address, shape = top_down.data_ptr(), top_down.shape

        def keep(saved: Tensor) -> Tensor | None:
            """Everything that the output's convolution saves except its input."""
            return None if saved.data_ptr() == address and saved.shape == shape else saved

        def kept_or_again(saved: Tensor | None) -> Tensor:
            with torch.no_grad():
                return add_upsampled(lateral(fine), coarse) if saved is None else saved

        with saved_tensors_hooks(keep, kept_or_again):
            return top_down, output(top_down)
