"""An exponential moving average of a model."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class EMA(Generic[AnyModule]):
    """A second copy of a model that follows the first one slowly.

    Parameters and floating-point buffers (batch norm's running statistics) are averaged alike, so that the
    statistics belong to the averaged weights; integer buffers are copied.

    Attributes:
        model: the averaged copy, in eval mode and without gradients.
        decay: the share of the old average that stays in each update, at most. Update t (0 is the first)
            keeps min(decay, (1 + t) / (10 + t)), so that the random weights of the start are soon forgotten.
    """

    def __init__(self, model: AnyModule, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights of `model` after optimiser step `step`."""
        keep = min(self.decay, (1 + step) / (10 + step))
        new = model.state_dict()
        for name, average in self.model.state_dict().items():
            if average.is_floating_point():
                average.lerp_(new[name], 1 - keep)
            else:
                average.copy_(new[name])
