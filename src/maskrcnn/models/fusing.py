"""A model made ready for prediction on the CPU: fewer passes over memory, fewer multiplications, the same results.

Batch norms are folded into the convolutions (`models.folding`), ReLUs and the addition of a residual block are done by
the convolution before them, and large 3x3 convolutions go by Winograd's way.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TypeVar

import torch
from torch import Tensor, nn

from maskrcnn.models.backbones.resnet import Block
from maskrcnn.models.box_head import BoxTrunk
from maskrcnn.models.folding import fold_batch_norms
from maskrcnn.models.winograd import is_plain_convolution, suits_winograd
from maskrcnn.ops.convolution import ConvolutionOptions, can_fuse, convolve
from maskrcnn.ops.winograd import convolve_winograd, transform_weight

Model = TypeVar("Model", bound=nn.Module)


class FusedConv2d(nn.Conv2d):
    """relu(conv(x) + shortcut); holds the very parameters of the convolution that it replaces.

    Args:
        conv: zero-padded.
        relu: whether a ReLU follows.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(conv))
        self.relu = relu
        self.transformed: Tensor | None = None

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W) to (N, K, H', W'); a shortcut has the shape of the result."""
        if shortcut is None and can_fuse(x) and suits_winograd(self, x):
            if self.transformed is None:
                self.transformed = transform_weight(self.weight)
            return convolve_winograd(x, self.transformed, self.bias, relu=self.relu)
        return convolve(x, self.weight, self.bias, shortcut, self._options())

    def _options(self) -> ConvolutionOptions:
        assert not isinstance(self.padding, str)
        return ConvolutionOptions(self.stride, self.padding, self.dilation, self.groups, self.relu)  # type: ignore[arg-type]


class FusedBlock(nn.Module):
    """A residual block whose last convolution adds the shortcut."""

    def __init__(self, residual: nn.Sequential, last: FusedConv2d, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual = residual
        self.last = last
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """As `Block.forward`."""
        y: Tensor = self.last(self.residual(x), self.shortcut(x))
        return y


def prepare_for_prediction(model: Model) -> Model:
    """Put a model into eval mode, fold its batch norms and fuse its convolutions, in place."""
    return fuse_convolutions(fold_batch_norms(model.eval()))


def fuse_convolutions(model: Model) -> Model:
    """Let every convolution do what follows it by itself, in place; norms stay, so fold batch norms first.

    Where gradients are wanted, and on other devices, the model computes as before.
    """
    for module in list(model.modules()):
        if isinstance(module, BoxTrunk):
            _convolve_first_fc(module)
        if isinstance(module, nn.Sequential):
            _fuse_relus(module)
        for name, child in module.named_children():
            if is_plain_convolution(child):
                setattr(module, name, FusedConv2d(child, relu=False))
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, Block) and isinstance(child.residual[-1], FusedConv2d):
                setattr(module, name, _fuse_shortcut(child))
    return model


def _convolve_first_fc(trunk: BoxTrunk) -> None:
    """A fully connected layer over a map is a convolution as large as the map, and wants no copy in another order."""
    position = next(i for i, layer in enumerate(trunk) if isinstance(layer, nn.Flatten))
    if position + 1 == len(trunk):
        return
    linear, (channels, side) = trunk[position + 1], trunk.fc_input
    assert isinstance(linear, nn.Linear)
    conv = nn.Conv2d(channels, linear.out_features, side, device="meta")
    weight = linear.weight.detach().view(-1, channels, side, side).contiguous(memory_format=torch.channels_last)
    conv.weight, conv.bias = nn.Parameter(weight, requires_grad=False), linear.bias
    trunk[position], trunk[position + 1], trunk[position + 2] = conv, nn.ReLU(inplace=True), nn.Flatten()


def _fuse_relus(layers: nn.Sequential) -> None:
    """Join each convolution with the ReLU behind it, and leave out layers that do nothing."""
    working = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    del layers[:]
    for layer, following in zip_longest(working, working[1:]):
        if is_plain_convolution(layer):
            layers.append(FusedConv2d(layer, relu=isinstance(following, nn.ReLU)))
        elif not (isinstance(layer, nn.ReLU) and len(layers) and isinstance(layers[-1], FusedConv2d)):
            layers.append(layer)


def _fuse_shortcut(block: Block) -> FusedBlock:
    *first, last = block.residual
    assert isinstance(last, FusedConv2d)
    last.relu = True
    return FusedBlock(nn.Sequential(*first), last, block.shortcut)
