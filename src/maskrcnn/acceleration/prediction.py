"""A model made ready for prediction on the CPU: fewer passes over memory, fewer multiplications, the same results.

Batch norms are folded into the convolutions (`acceleration.folding`), ReLUs and the addition of a residual block are
done by the layer before them, and large 3x3 convolutions go by Winograd's way. `compute_in` gives up digits for more
speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from maskrcnn.acceleration.choice import is_wide_3x3, suits_winograd
from maskrcnn.acceleration.folding import fold_batch_norms
from maskrcnn.acceleration.training import is_plain_convolution, is_plain_linear
from maskrcnn.kernels.convolution import ConvolutionOptions, can_fuse, computes_in, convolve, sorted_for
from maskrcnn.kernels.linear import linear
from maskrcnn.kernels.winograd import WinogradWeight, convolve_winograd, transformed, transforming_once
from maskrcnn.models.backbones.resnet import ResidualBlock
from maskrcnn.models.box_head import BoxTrunk
from maskrcnn.models.fpn import FPN, add_upsampled
from maskrcnn.models.rpn import RPNHead, outputs_of_cells

Model = TypeVar("Model", bound=nn.Module)

ROWS_AT_ONCE = 64
"""Rows of a matrix that are put into another order at a time: a copy of the whole would leave a hole in memory."""


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
        self._sorted: tuple[object, Tensor | None] = None, None

    def __getstate__(self) -> dict[str, Any]:
        """For copies, which sort anew."""
        return {**vars(self), "_sorted": (None, None)}

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W) to (N, K, H', W'); a shortcut has the shape of the result, which may overwrite it."""
        if shortcut is None and self._goes_winograds_way(x):
            return convolve_winograd(x, self._transformed(x), self.bias, relu=self.relu)
        x, shortcut = rounded_like(self.weight, x), None if shortcut is None else rounded_like(self.weight, shortcut)
        return convolve(x, self._weight_for(x), self.bias, shortcut, self._options())

    def forward_into(self, memory: Tensor, x: Tensor) -> Tensor:
        """The result, in a place that nobody needs any more if it fits there and Winograd's way is taken."""
        if self._goes_winograds_way(x):
            return convolve_winograd(x, self._transformed(x), self.bias, relu=self.relu, memory=memory)
        return self(x)  # type: ignore[no-any-return]

    def forward_then(self, x: Tensor, outputs: nn.Conv2d) -> Tensor:
        """The 1x1 convolution `outputs` of the result; by Winograd's way, the result never lies in memory in full."""
        if self._goes_winograds_way(x):
            then = outputs.weight.flatten(1), outputs.bias
            return convolve_winograd(x, self._transformed(x), self.bias, relu=self.relu, then=then)
        y: Tensor = outputs(self(x))
        return y

    def _goes_winograds_way(self, x: Tensor) -> bool:
        return can_fuse(x, self.weight) and suits_winograd(self, x)

    def _weight_for(self, x: Tensor) -> Tensor:
        """The weights; in a lower precision, from the second input of a size on, as oneDNN wants them for it.

        Sorting them at every call takes a tenth of the time there. In float32 it is little, and a copy would be large.
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
        return transformed(self.weight, x.shape)

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
        return linear(rounded_like(self.weight, x), self.weight, self.bias, self.relu)


def rounded_like(weight: Tensor, x: Tensor) -> Tensor:
    """The input of a layer whose weights were rounded to a lower precision (`compute_in`)."""
    return x if weight.dtype == torch.float32 else x.to(weight.dtype)


class FusedRPNHead(nn.Module):
    """The RPN's head with its two outputs as one, done by the convolution before them.

    What that convolution finds on the finest level is as large as the level itself, and is read by the outputs alone.
    """

    def __init__(self, head: RPNHead) -> None:
        super().__init__()
        convs = [_fused_convolution(conv, relu=True) for conv in head.convs if isinstance(conv, nn.Conv2d)]
        self.first = nn.Sequential(*convs[:-1])
        self.last = convs[-1]
        self.num_anchors = head.objectness.out_channels
        self.outputs = FusedConv2d(_side_by_side(head.objectness, head.deltas), relu=False)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """As `RPNHead.forward`."""
        with transforming_once():  # for all levels
            cells = [self.last.forward_then(self.first(x), self.outputs).permute(0, 2, 3, 1) for x in features]
        return outputs_of_cells(cells, self.num_anchors)


class FusedFPN(FPN):
    """A pyramid whose finest level takes the memory of the map that it was made from: they are the largest tensors."""

    def __init__(self, fpn: FPN) -> None:
        nn.Module.__init__(self)
        vars(self).update(vars(fpn))

    def level(self, lateral: nn.Module, output: nn.Module, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """As `FPN.level`; nothing else reads the network's map."""
        if not (isinstance(output, nn.Sequential) and len(output) == 1 and isinstance(output[0], FusedConv2d)):
            return super().level(lateral, output, fine, coarse)
        top_down = add_upsampled(lateral(fine), coarse)
        return top_down, output[0].forward_into(fine, top_down)


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


def prepare_for_prediction(model: Model) -> Model:
    """Put a model into eval mode, fold its batch norms and fuse its convolutions, in place."""
    return fuse_convolutions(fold_batch_norms(model.eval()))


def compute_in(dtype: torch.dtype, model: Model) -> Model:
    """Let the layers of a prepared model hold their weights and compute in a lower precision, in place, on the CPU.

    Autocast would round the weights anew at every call. Nothing happens where oneDNN has no such precision.
    """
    for layer in model.modules() if computes_in(dtype) else ():
        if isinstance(layer, FusedConv2d | FusedLinear | nn.ConvTranspose2d):
            layer.to(dtype)
    return model


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
            if isinstance(child, RPNHead) and len(child.convs):
                setattr(module, name, FusedRPNHead(child))
            elif is_plain_convolution(child) or is_plain_linear(child):
                setattr(module, name, _fused(child, relu=False))
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, ResidualBlock) and isinstance(child.residual[-1], FusedConv2d):
                setattr(module, name, _fuse_shortcut(child))
            elif type(child) is FPN:
                setattr(module, name, FusedFPN(child))
    return model


def _flatten_as_stored(trunk: BoxTrunk) -> None:
    """Flatten channels-last, as RoIAlign leaves its features, and put the next layer's weights into the same order."""
    position = next(i for i, layer in enumerate(trunk) if isinstance(layer, nn.Flatten))
    if position + 1 == len(trunk):
        return
    fc, (channels, _) = trunk[position + 1], trunk.fc_input
    assert isinstance(fc, nn.Linear)
    _reorder_channels_last(fc.weight.requires_grad_(False), channels)
    trunk[position] = FlattenChannelsLast()


@torch.no_grad()
def _store_channels_last(conv: nn.Conv2d) -> None:
    """As the transform of Winograd's way reads the weights; to oneDNN either order is alike."""
    weight = conv.weight
    if weight.is_contiguous():
        out_channels, channels, *size = weight.shape
        _reorder_channels_last(weight.view(out_channels, -1), channels)
        weight.data = weight.data.view(out_channels, *size, channels).permute(0, 3, 1, 2)


def _reorder_channels_last(weight: Tensor, channels: int) -> None:
    """Reorder rows of (channels, pixels) to (pixels, channels), where they lie in memory."""
    for rows in weight.split(ROWS_AT_ONCE):
        rows.copy_(rows.view(len(rows), channels, -1).transpose(1, 2).flatten(1))


def _fuse_relus(layers: nn.Sequential) -> None:
    """Join each convolution or linear layer with the ReLU behind it, and leave out layers that do nothing."""
    working = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    del layers[:]
    for layer, following in zip_longest(working, working[1:]):
        if is_plain_convolution(layer) or is_plain_linear(layer):
            layers.append(_fused(layer, relu=isinstance(following, nn.ReLU)))
        elif not (isinstance(layer, nn.ReLU) and len(layers) and isinstance(layers[-1], FusedConv2d | FusedLinear)):
            layers.append(layer)


def _fused(layer: nn.Module, relu: bool) -> FusedConv2d | FusedLinear:
    if isinstance(layer, nn.Linear):
        return FusedLinear(layer, relu)
    assert isinstance(layer, nn.Conv2d)
    return _fused_convolution(layer, relu)


def _fused_convolution(conv: nn.Conv2d, relu: bool) -> FusedConv2d:
    if is_wide_3x3(conv):
        _store_channels_last(conv)
    return FusedConv2d(conv, relu)


def _side_by_side(*layers: nn.Conv2d) -> nn.Conv2d:
    """1x1 convolutions of the same input as a single one, outputs one after the other."""
    first = layers[0]
    with torch.device("meta"):
        joined = nn.Conv2d(first.in_channels, sum(layer.out_channels for layer in layers), 1)
    joined.weight = nn.Parameter(torch.cat([layer.weight for layer in layers]), requires_grad=False)
    biases = [layer.bias for layer in layers if layer.bias is not None]
    joined.bias = nn.Parameter(torch.cat(biases), requires_grad=False)
    return joined


def _fuse_shortcut(block: ResidualBlock) -> FusedBlock:
    *first, last = block.residual
    assert isinstance(last, FusedConv2d)
    last.relu = True
    return FusedBlock(nn.Sequential(*first), last, block.shortcut)
