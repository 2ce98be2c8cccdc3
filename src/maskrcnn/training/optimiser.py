"""The optimiser: its learning rate, and which weight decay each parameter gets."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from maskrcnn.config import Config, OptimizerConfig

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """SGD with momentum or AdamW over the parameters that train; the learning rate is set step by step."""
    groups = parameter_groups(model, config)
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, fused=True)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=True)


def parameter_groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """The parameters with `requires_grad`, in up to three groups by weight decay: weights, norms, biases."""
    groups: dict[str, list[nn.Parameter]] = {"weights": [], "norms": [], "biases": []}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                groups[_kind(module, name)].append(parameter)
    decays = (config.weight_decay, config.norm_weight_decay, config.bias_weight_decay)
    return [
        {"params": parameters, "weight_decay": decay, "kind": kind}
        for (kind, parameters), decay in zip(groups.items(), decays, strict=True)
        if parameters
    ]


def full_learning_rate(config: Config) -> float:
    """The rate before the schedule, in proportion to the images per step (Goyal et al. 2017, section 2.1)."""
    images_per_step = config.train.batch_size * config.train.accumulate
    return config.optimizer.lr * images_per_step / config.optimizer.reference_batch_size


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use `rate` for every group from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _kind(module: nn.Module, name: str) -> str:
    if isinstance(module, _NORMS):
        return "norms"
    return "biases" if name == "bias" else "weights"
