"""What all replacements of textbook modules have in common."""

from __future__ import annotations

from typing import TypeGuard, TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def as_a(kind: type[Module], module: nn.Module) -> Module:
    """`module` as one of another class, with the very same parameters, parts, settings and hooks."""
    other = kind.__new__(kind)
    vars(other).update(vars(module))
    return other


def is_plain_convolution(layer: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether it is torch's own convolution, padded with a number of zeros."""
    return type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def is_plain_linear(layer: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether it is torch's own linear layer."""
    return type(layer) is nn.Linear
