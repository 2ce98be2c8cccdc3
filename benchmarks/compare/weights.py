"""Random weights under which a network behaves like a trained one: bearable activations, outputs that differ."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


@torch.no_grad()
def spread(model: nn.Module, factors: Mapping[str, float], seed: int = 1) -> None:
    """Draw the statistics of every batch norm, and scale the weights of the layers whose path ends as in `factors`."""
    generator = torch.Generator().manual_seed(seed)
    for path, module in model.named_modules():
        if "BatchNorm" in type(module).__name__:
            module.running_mean.normal_(0.0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            module.weight.uniform_(0.3, 0.7, generator=generator)
            module.bias.normal_(0.0, 0.1, generator=generator)
        for ending, factor in factors.items():
            if path.endswith(ending):
                module.weight.mul_(factor)
