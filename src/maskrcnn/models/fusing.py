"""A model made ready for prediction on the CPU: fewer passes over memory, fewer multiplications, the same results.

Batch norms are folded into the convolutions (`models.folding`), ReLUs and the addition of a residual block are done by
the layer before them, and large 3x3 convolutions go by Winograd's way.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, TypeVar

from torch import Tensor, nn

from maskrcnn.models.backbones.resnet import Block
from maskrcnn.models.box_head import BoxTrunk
from maskrcnn.models.folding import fold_batch_norms
from maskrcnn.models.winograd import is_plain_convolution, suits_winograd
from maskrcnn.ops.convolution import ConvolutionOptions, can_fuse, convolve
from maskrcnn.ops.linear import linear
from maskrcnn.ops.winograd import WinogradWeight, convolve_winograd, tile_side

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
        self.transformed: dict[int, WinogradWeight] = {}

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W) to (N, K, H', W'); a shortcut has the shape of the result, which may overwrite it."""
        if shortcut is None and can_fuse(x) and suits_winograd(self, x):
            return convolve_winograd(x, self._transformed(tile_side(*x.shape[2:])), self.bias, relu=self.relu)
        return convolve(x, self.weight, self.bias, shortcut, self._options())

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "transformed": {}}  # oneDNN's own order cannot be copied

    def _transformed(self, tile: int) -> WinogradWeight:
        if tile not in self.transformed:
            self.transformed[tile] = WinogradWeight.transform(self.weight, tile)
        return self.transformed[tile]

    def _options(self) -> ConvolutionOptions:
        assert not isinstance(self.padding, str)
        return ConvolutionOptions(self.stride, self.padding, self.dilation, self.groups, self.relu)  # type: ignore[arg-type]


class FusedLinear(nn.Linear):
    """relu(W x + b); holds the very parameters of the layer that it replaces."""

    def __init__(self, layer: nn.Linear, relu: bool) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(layer))
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C) to (N, K)."""
        return linear(x, self.weight, self.bias, self.relu)


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
        """As `Block.forward`; where x is its own shortcut, the result may overwrite it."""
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
            _flatten_as_stored(module)
        if isinstance(module, nn.Sequential):
            _fuse_relus(module)
        for name, child in module.named_children():
            if is_plain_convolution(child) or type(child) is nn.Linear:
                setattr(module, name, _fused(child, relu=False))
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, Block) and isinstance(child.residual[-1], FusedConv2d):
                setattr(module, name, _fuse_shortcut(child))
    return model


def _flatten_as_stored(trunk: BoxTrunk) -> None:
    """Flatten channels-last, as RoIAlign leaves its features, and put the next layer's weights into the same order."""
    position = next(i for i, layer in enumerate(trunk) if isinstance(layer, nn.Flatten))
    if position + 1 == len(trunk):
        return
    fc, (channels, side) = trunk[position + 1], trunk.fc_input
    assert isinstance(fc, nn.Linear)
    weight = fc.weight.requires_grad_(False)  # and stays where it is in memory
    weight.copy_(weight.view(-1, channels, side, side).permute(0, 2, 3, 1).flatten(1))
    trunk[position] = FlattenChannelsLast()


def _fuse_relus(layers: nn.Sequential) -> None:
    """Join each convolution or linear layer with the ReLU behind it, and leave out layers that do nothing."""
    working = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    del layers[:]
    for layer, following in zip_longest(working, working[1:]):
        if is_plain_convolution(layer) or type(layer) is nn.Linear:
            layers.append(_fused(layer, relu=isinstance(following, nn.ReLU)))
        elif not (isinstance(layer, nn.ReLU) and len(layers) and isinstance(layers[-1], FusedConv2d | FusedLinear)):
            layers.append(layer)


def _fused(layer: nn.Module, relu: bool) -> FusedConv2d | FusedLinear:
    if isinstance(layer, nn.Linear):
        return FusedLinear(layer, relu)
    assert isinstance(layer, nn.Conv2d)
    return FusedConv2d(layer, relu)


def _fuse_shortcut(block: Block) -> FusedBlock:
    *first, last = block.residual
    assert isinstance(last, FusedConv2d)
    last.relu = True
    return FusedBlock(nn.Sequential(*first), last, block.shortcut)
