"""Batch norm folded into the convolution before it, for prediction.

With fixed statistics, batch norm is a factor and a shift per channel, and so is what a convolution can do by itself:
norm(W * x + b) = (s W) * x + (s b + t), with s = weight / sqrt(var + eps) and t = bias - s mean. One pass over memory
less for every layer.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn

from maskrcnn.models.norm import FrozenBatchNorm2d

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def fold_batch_norms(model: Model) -> Model:
    """Fold every batch norm that directly follows a convolution of the same `nn.Sequential`, in place.

    The model computes the same as before in eval mode; it can no longer be trained, and its parameters have other
    names. Group norm depends on the image and stays.
    """
    for module in list(model.modules()):
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
    return model


def _fold_sequence(layers: nn.Sequential) -> None:
    for number, (conv, norm) in enumerate(pairwise(list(layers))):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenBatchNorm2d | nn.modules.batchnorm._BatchNorm):
            _fold(conv, norm)
            layers[number + 1] = nn.Identity()


def _fold(conv: nn.Conv2d, norm: FrozenBatchNorm2d | nn.modules.batchnorm._BatchNorm) -> None:
    """In double precision, since small variances make large factors; in the weights' own memory."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    bias = norm.running_mean.new_zeros(()) if conv.bias is None else conv.bias
    shift = norm.bias.double() + scale * (bias.double() - norm.running_mean.double())
    conv.weight.copy_(conv.weight.double() * scale[:, None, None, None])
    conv.bias = nn.Parameter(shift.to(conv.weight))
    conv.requires_grad_(False)
