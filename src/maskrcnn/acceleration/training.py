"""A model made ready for training on the CPU: layers whose gradients take fewer multiplications or faster ones.

The counterpart of `acceleration.prediction`; here, parameters keep their names and values.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from maskrcnn.acceleration.choice import is_wide_3x3, suits_winograd
from maskrcnn.acceleration.training_rpn import TrainableRPNHead
from maskrcnn.kernels.convolution import is_plain_float
from maskrcnn.kernels.linear import linear_with_gradients
from maskrcnn.kernels.winograd_gradients import convolve_winograd_with_gradients
from maskrcnn.models.fpn import FPN, add_upsampled
from maskrcnn.models.rpn import RPNHead

Model = TypeVar("Model", bound=nn.Module)


class TrainableConv2d(nn.Conv2d):
    """Winograd's way where it is faster; holds the very parameters of the convolution that it replaces."""

    def __init__(self, conv: nn.Conv2d) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(conv))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, H, W)."""
        if suits_winograd(self, x):
            return convolve_winograd_with_gradients(x, self.weight, self.bias)
        return super().forward(x)


class TrainableLinear(nn.Linear):
    """All three products by oneDNN; holds the very parameters of the layer that it replaces."""

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(layer))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C), or (N, C', H, W) of C values each, to (N, K)."""
        return linear_with_gradients(x, self.weight, self.bias)


class LaterFlatten(nn.Flatten):
    """Leaves flattening to the `TrainableLinear` that follows, whose gradient can be put back in its own memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Nothing yet."""
        return x


class TrainableFPN(FPN):
    """A pyramid that makes its finest top-down map again for the gradient, instead of keeping it.

    One of the largest tensors of a training step, for a 1x1 convolution and a sum.
    """

    def __init__(self, fpn: FPN) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(fpn))

    def level(self, lateral: nn.Module, output: nn.Module, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """As `FPN.level`."""
        is_finest, is_plain = lateral is self.lateral[0], len(list(lateral.children())) == 1
        if not (is_finest and is_plain and is_plain_float(fine)):
            return super().level(lateral, output, fine, coarse)
        top_down = add_upsampled(lateral(fine), coarse)
        address, shape = top_down.data_ptr(), top_down.shape

        def keep(saved: Tensor) -> Tensor | None:
            """All that the output's convolution saves, but its input."""
            return None if saved.data_ptr() == address and saved.shape == shape else saved

        def kept_or_again(saved: Tensor | None) -> Tensor:
            with torch.no_grad():
                return add_upsampled(lateral(fine), coarse) if saved is None else saved

        with saved_tensors_hooks(keep, kept_or_again):
            return top_down, output(top_down)


def is_plain_convolution(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether it is torch's own convolution or a `TrainableConv2d`, padded with a number of zeros."""
    return (
        type(layer) in (nn.Conv2d, TrainableConv2d)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def is_plain_linear(layer: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether it is torch's own linear layer or a `TrainableLinear`."""
    return type(layer) in (nn.Linear, TrainableLinear)


def prepare_for_training(model: Model) -> Model:
    """Replace linear layers, wide 3x3 convolutions, the pyramid and the RPN's head in place.

    Names and values of the parameters stay.
    """
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential):
            for number, (layer, following) in enumerate(pairwise(list(module))):
                if type(layer) is nn.Flatten and is_plain_linear(following):
                    module[number] = LaterFlatten()
        for name, child in module.named_children():
            if type(child) is FPN:
                setattr(module, name, TrainableFPN(child))
            elif type(child) is RPNHead and len(child.convs) == 1:
                setattr(module, name, TrainableRPNHead(child))
            elif is_plain_convolution(child) and is_wide_3x3(child):
                setattr(module, name, TrainableConv2d(child))
            elif is_plain_linear(child):
                setattr(module, name, TrainableLinear(child))
    return model
