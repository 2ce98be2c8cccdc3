"""A network made ready for prediction on the CPU: fewer passes over memory, fewer multiplications, the same results.

Batch norms are folded into the convolutions (`acceleration.folding`), ReLUs and the addition of a residual block are
done by the layer before them, and large 3x3 convolutions use Winograd's algorithm. `cast_weights` gives up digits
for more speed.
"""

from __future__ import annotations

import math
from itertools import pairwise, zip_longest
from typing import TypeVar

import torch
from torch import Tensor, nn

from maskrcnn.acceleration.choice import is_wide_3x3
from maskrcnn.acceleration.fpn import FusedFPN
from maskrcnn.acceleration.layers import (
    FlattenChannelsLast,
    FusedBlock,
    FusedConv2d,
    FusedLinear,
    FusedSamePaddedConv2d,
)
from maskrcnn.acceleration.mask_head import FastMaskHead
from maskrcnn.acceleration.replacing import as_a, is_plain_convolution, is_plain_linear
from maskrcnn.acceleration.rpn import FusedRPNHead
from maskrcnn.kernels.convolution import computes_in
from maskrcnn.kernels.winograd import ROUGH_TILES
from maskrcnn.models.backbones.efficientnet_lite import InvertedResidual, SamePaddedConv2d
from maskrcnn.models.backbones.resnet import ResidualBlock
from maskrcnn.models.box_head import BoxTrunk
from maskrcnn.models.fpn import FPN
from maskrcnn.models.keypoint_head import KeypointHead
from maskrcnn.models.mask_head import FCNMaskHead, MaskHead
from maskrcnn.models.rpn import RPNHead

Model = TypeVar("Model", bound=nn.Module)

ROWS_AT_ONCE = 64
"""Rows of a matrix that are put into another order at a time: a copy of the whole would leave a gap in memory."""


def cast_weights(model: Model, dtype: torch.dtype) -> Model:
    """Let the layers of a fused model hold their weights and compute in a lower precision, in place, on the CPU.

    Autocast would round the weights anew at every call. Nothing happens where oneDNN has no such precision.
    """
    for layer in model.modules() if computes_in(dtype) else ():
        if isinstance(layer, FusedConv2d | FusedLinear | nn.ConvTranspose2d):
            layer.to(dtype)
    return model


def fuse(model: Model) -> Model:
    """Let every layer do what follows it by itself, in place; norms stay, so fold batch norms first.

    Where gradients are wanted, and on other devices, the model computes as before.
    """
    for module in list(model.modules()):
        if isinstance(module, BoxTrunk):
            _flatten_as_stored(module)
        if isinstance(module, nn.Sequential):
            _fuse_relus(module)
        for name, child in module.named_children():
            if (faster := _faster_layer(child)) is not None:
                setattr(module, name, faster)
    for module in list(model.modules()):  # parts whose layers are fused by now
        for name, child in module.named_children():
            if (faster := _faster_part(child)) is not None:
                setattr(module, name, faster)
        if isinstance(module, MaskHead | KeypointHead):
            _allow_rough_tiles(module)
    return model


def _faster_layer(layer: nn.Module) -> nn.Module | None:
    if isinstance(layer, RPNHead) and len(layer.convs):
        convs = [_fused(conv, nn.ReLU()) for conv in layer.convs if isinstance(conv, nn.Conv2d)]
        return FusedRPNHead([conv for conv in convs if isinstance(conv, FusedConv2d)], layer)
    return _fused(layer) if _can_fuse(layer) else None


def _faster_part(part: nn.Module) -> nn.Module | None:
    if isinstance(part, ResidualBlock) and isinstance(part.residual[-1], FusedConv2d):
        return _fuse_shortcut(part)
    if isinstance(part, InvertedResidual):
        return _fuse_inverted(part)
    if type(part) is FPN:
        return as_a(FusedFPN, part)
    return as_a(FastMaskHead, part) if type(part) is FCNMaskHead else None


def _allow_rough_tiles(branch: nn.Module) -> None:
    """No box and no score depends on the last digits of masks and keypoints."""
    for layer in branch.modules():
        if isinstance(layer, FusedConv2d):
            layer.tiles = ROUGH_TILES


def _flatten_as_stored(trunk: BoxTrunk) -> None:
    """Flatten channels-last, as RoIAlign leaves its features, and put the next layer's weights into the same order."""
    for position, (layer, following) in enumerate(pairwise(list(trunk))):
        if type(layer) is nn.Flatten and isinstance(following, nn.Linear):
            channels = following.in_features // math.prod(trunk.roi_size)
            _reorder_channels_last(following.weight.requires_grad_(False), channels)
            trunk[position] = FlattenChannelsLast()


@torch.no_grad()
def _store_channels_last(conv: nn.Conv2d) -> None:
    """As the transform of Winograd's algorithm reads the weights; to oneDNN either order is alike."""
    weight = conv.weight
    if weight.is_contiguous():
        out_channels, channels, *size = weight.shape
        _reorder_channels_last(weight.view(out_channels, -1), channels)
        weight.data = weight.data.view(out_channels, *size, channels).permute(0, 3, 1, 2)


def _reorder_channels_last(weight: Tensor, channels: int) -> None:
    """Reorder rows of (channels, pixels) to (pixels, channels), where they lie in memory."""
    for rows in weight.split(ROWS_AT_ONCE):
        rows.copy_(rows.view(rows.shape[0], channels, -1).transpose(1, 2).flatten(1))


def _fuse_relus(layers: nn.Sequential) -> None:
    """Join each convolution or linear layer with the ReLU behind it, and leave out layers that do nothing."""
    working = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    del layers[:]
    for layer, following in zip_longest(working, working[1:]):
        if _can_fuse(layer):
            layers.append(_fused(layer, following))
        elif not (len(layers) and _has_done(layers[-1], layer)):
            layers.append(layer)


def _can_fuse(layer: nn.Module) -> bool:
    return is_plain_convolution(layer) or is_plain_linear(layer) or type(layer) is SamePaddedConv2d


def _has_done(layer: nn.Module, following: nn.Module) -> bool:
    """Whether a layer has seen to the ReLU behind it."""
    return (isinstance(following, nn.ReLU) and isinstance(layer, FusedConv2d | FusedLinear)) or (
        isinstance(following, nn.ReLU6) and isinstance(layer, FusedConv2d)
    )


def _fused(layer: nn.Module, following: nn.Module | None = None) -> FusedConv2d | FusedLinear:
    """A layer that sees to the ReLU behind it, if one follows."""
    if isinstance(layer, nn.Linear):
        return FusedLinear(layer, isinstance(following, nn.ReLU))
    assert isinstance(layer, nn.Conv2d)
    if is_wide_3x3(layer):
        _store_channels_last(layer)
    kind = FusedSamePaddedConv2d if isinstance(layer, SamePaddedConv2d) else FusedConv2d
    ceiling = following.max_val if isinstance(following, nn.ReLU6) else math.inf
    return kind(layer, isinstance(following, nn.ReLU | nn.ReLU6), ceiling)


def _fuse_shortcut(block: ResidualBlock) -> FusedBlock:
    *first, last = block.residual
    assert isinstance(last, FusedConv2d)
    last.relu = True
    return FusedBlock(nn.Sequential(*first), last, block.shortcut)


def _fuse_inverted(block: InvertedResidual) -> nn.Module | None:
    """Its layers alone where it has no shortcut; nothing is done where group norm is at its end."""
    *first, last = block.layers
    if not block.has_shortcut:
        return block.layers
    return FusedBlock(nn.Sequential(*first), last, nn.Identity()) if isinstance(last, FusedConv2d) else None
