"""A network made ready for training on the CPU: modules whose gradients take fewer multiplications, time or memory.

The counterpart of `acceleration.prediction`; here, parameters keep their names and values, and everything can be
undone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.acceleration.choice import is_wide_3x3, suits_winograd
from maskrcnn.acceleration.fpn import RecomputingFPN
from maskrcnn.acceleration.mask_head import FastMaskHead
from maskrcnn.acceleration.replacing import as_a, is_plain_convolution, is_plain_linear
from maskrcnn.acceleration.rpn import FastRPN
from maskrcnn.kernels.convolution import reaching_less_far_back
from maskrcnn.kernels.linear import linear_with_gradients
from maskrcnn.kernels.winograd_gradients import convolve_winograd_with_gradients
from maskrcnn.models.backbones.efficientnet_lite import EfficientNetLite0, SamePaddedConv2d
from maskrcnn.models.fpn import FPN
from maskrcnn.models.mask_head import FCNMaskHead
from maskrcnn.models.norm import FrozenBatchNorm2d
from maskrcnn.models.rpn import RPN

Model = TypeVar("Model", bound=nn.Module)


class WinogradConv2d(nn.Conv2d):
    """A convolution, and its gradients, by Winograd's algorithm where that is faster."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, H, W)."""
        if suits_winograd(self, x):
            return convolve_winograd_with_gradients(x, self.weight, self.bias)
        return super().forward(x)


class OneDNNLinear(nn.Linear):
    """A linear layer with all three of its products by oneDNN."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C), or (N, C', H, W) of C values each, to (N, K)."""
        return linear_with_gradients(x, self.weight, self.bias)


class LaterFlatten(nn.Flatten):
    """Leaves flattening to the `OneDNNLinear` that follows, whose gradient can be put back in its own memory."""

    def forward(self, x: Tensor) -> Tensor:
        """Nothing yet."""
        return x


class NormingConv2d(nn.Conv2d):
    """A convolution and the frozen batch norm behind it, whose factors go into the weights: two passes less.

    Attributes:
        norm: (that norm,), which stays a part of the sequence both are in, and not of this layer.
    """

    norm: tuple[FrozenBatchNorm2d]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, K, H', W')."""
        scale, shift = self.norm[0].factors()
        bias = shift if self.bias is None else shift + scale * self.bias
        return self._convolve(x, self.weight * scale[:, None, None, None], bias)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class NormingSamePaddedConv2d(NormingConv2d):
    """The same of a `SamePaddedConv2d`."""

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        weight, half = reaching_less_far_back(weight, x.shape[2:]), self.kernel_size[0] // 2
        return F.conv2d(x, weight, bias, self.stride, half, groups=self.groups)


class DoneNorm(FrozenBatchNorm2d):
    """What is left of a norm that a `NormingConv2d` has seen to: its statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """Nothing more."""
        return x


FASTER: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: WinogradConv2d,
    nn.Linear: OneDNNLinear,
    nn.Flatten: LaterFlatten,
    FrozenBatchNorm2d: DoneNorm,
    FPN: RecomputingFPN,
    RPN: FastRPN,
    FCNMaskHead: FastMaskHead,
}
"""What replaces what; a faster module has no state that the textbook's does not have."""

NORMING: dict[type[nn.Module], type[NormingConv2d]] = {
    nn.Conv2d: NormingConv2d,
    SamePaddedConv2d: NormingSamePaddedConv2d,
}
"""The same for convolutions with a frozen norm behind them, which Winograd's algorithm does not suit."""

TEXTBOOK = {faster: plain for table in (FASTER, NORMING) for plain, faster in table.items()}


def speed_up_training(model: Model) -> Model:
    """Replace what is faster another way, in place; names and values of the parameters stay."""
    flattened_later = {
        layer
        for module in model.modules()
        if isinstance(module, nn.Sequential)
        for layer, following in pairwise(module)
        if type(layer) is nn.Flatten and is_plain_linear(following)
    }
    for module in list(model.modules()):
        for name, child in module.named_children():
            if child in flattened_later or _is_faster_otherwise(child):
                setattr(module, name, as_a(FASTER[type(child)], child))
        if isinstance(module, EfficientNetLite0):
            for layers in list(module.modules()):
                if isinstance(layers, nn.Sequential):
                    _join_frozen_norms(layers)
    return model


def _join_frozen_norms(layers: nn.Sequential) -> None:
    """Where a norm that does not change directly follows a convolution.

    For narrow and depthwise convolutions. The weights that a step makes stay until its backward pass: those of a
    ResNet-50 take more memory (60 MiB) than two passes over its maps are worth.
    """
    for place, (conv, norm) in enumerate(pairwise(list(layers))):
        if isinstance(conv, nn.Conv2d) and type(conv) in NORMING and type(norm) is FrozenBatchNorm2d:
            joined, done = as_a(NORMING[type(conv)], conv), as_a(DoneNorm, norm)
            joined.norm = (done,)
            layers[place], layers[place + 1] = joined, done


def _is_faster_otherwise(module: nn.Module) -> bool:
    if is_plain_convolution(module):
        return is_wide_3x3(module)
    if type(module) is RPN:
        return len(module.head.convs) == 1
    return type(module) in (nn.Linear, FPN, FCNMaskHead)


def undo_speed_up(model: Model) -> Model:
    """The textbook's modules again, in place."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) in TEXTBOOK:
                vars(child).pop("norm", None)
                setattr(module, name, as_a(TEXTBOOK[type(child)], child))
    return model
