"""The optimiser: its learning rate, and which weight decay each parameter gets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from maskrcnn.config import Config, OptimizerConfig
from maskrcnn.models.backbones.backbone import StagedBackbone

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


class Optimizer(ABC):
    """Torch's optimisers, with the state kept here.

    The steps are torch's own functions. Its classes import torch's compiler, which is not used here: 150 MiB, and 1.5
    seconds before training begins.

    Attributes:
        param_groups: "params", "lr" and "weight_decay" of each group.
        state: of each parameter that has been stepped, by name.
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], lr: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"lr": lr, "weight_decay": 0.0, **group} for group in groups]
        self.state: dict[nn.Parameter, dict[str, Tensor]] = defaultdict(dict)

    @torch.no_grad()
    def step(self) -> None:
        """Change every parameter that has a gradient."""
        for group in self.param_groups:
            changing = [p for p in group["params"] if p.grad is not None]
            if changing:
                self._update(changing, [p.grad for p in changing], group["lr"], group["weight_decay"])

    @abstractmethod
    def _update(self, parameters: list[nn.Parameter], gradients: list[Tensor], lr: float, weight_decay: float) -> None:
        """One step of parameters of a group."""

    def _averages(self, parameters: Iterable[nn.Parameter], name: str) -> list[Tensor]:
        """What is remembered of each parameter under this name; zeros at first."""
        for parameter in parameters:
            if name not in self.state[parameter]:
                self.state[parameter][name] = torch.zeros_like(parameter)
        return [self.state[parameter][name] for parameter in parameters]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    def __init__(self, groups: Sequence[Mapping[str, Any]], lr: float, momentum: float) -> None:
        super().__init__(groups, lr)
        self.momentum = momentum

    def _update(self, parameters: list[nn.Parameter], gradients: list[Tensor], lr: float, weight_decay: float) -> None:
        momenta: list[Tensor | None] = [None] * len(parameters)
        if self.momentum:
            momenta = [*self._averages(parameters, "momentum_buffer")]
        sgd(
            list(parameters), gradients, momenta, lr=lr, weight_decay=weight_decay, momentum=self.momentum,
            dampening=0.0, nesterov=False, maximize=False, fused=True,
        )  # fmt: skip


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    def _update(self, parameters: list[nn.Parameter], gradients: list[Tensor], lr: float, weight_decay: float) -> None:
        means, squares = (self._averages(parameters, name) for name in ("exp_avg", "exp_avg_sq"))
        steps = [self.state[p].setdefault("step", torch.zeros((), device=p.device)) for p in parameters]
        adamw(
            list(parameters), gradients, means, squares, [], steps, lr=lr, weight_decay=weight_decay,
            beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False, maximize=False, fused=True,
        )  # fmt: skip


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    """SGD with momentum or AdamW over the parameters that train; the learning rate is set step by step."""
    groups = parameter_groups(model, config)
    return AdamW(groups, config.lr) if config.name == "adamw" else SGD(groups, config.lr, config.momentum)


def parameter_groups(model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """The parameters with `requires_grad`, in groups by weight decay (weights, norms, biases) and by rate.

    With `layer_decay`, each group has the factor of its rate (`lr_scale`), smaller for earlier stages of the backbone.
    """
    groups: dict[tuple[str, float], list[nn.Parameter]] = {(kind, 1.0): [] for kind in ("weights", "norms", "biases")}
    decays = {"weights": config.weight_decay, "norms": config.norm_weight_decay, "biases": config.bias_weight_decay}
    factors = _rate_factors(model, config.layer_decay)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                groups.setdefault((_kind(module, name), factors.get(module, 1.0)), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decays[kind], "kind": kind, "lr_scale": factor}
        for (kind, factor), parameters in groups.items()
        if parameters
    ]


def _rate_factors(model: nn.Module, decay: float) -> dict[nn.Module, float]:
    """Of the layers of a backbone with stages: decay for the last stage, decay^2 for the one before, ... the stem."""
    backbones = [module for module in model.modules() if isinstance(module, StagedBackbone)]
    return {
        layer: decay**depth
        for backbone in (backbones if decay != 1 else ())
        for depth, part in enumerate(reversed([backbone.stem, *backbone.stages]), start=1)
        for layer in part.modules()
    }


def full_learning_rate(config: Config) -> float:
    """The rate before the schedule, in proportion to the images per step (Goyal et al. 2017, section 2.1)."""
    images_per_step = config.train.batch_size * config.train.accumulate
    return config.optimizer.lr * images_per_step / config.optimizer.reference_batch_size


def set_learning_rate(optimizer: Optimizer | torch.optim.Optimizer, rate: float) -> None:
    """Use `rate` for every group from the next step on, times the group's own factor (`lr_scale`) if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def _kind(module: nn.Module, name: str) -> str:
    if isinstance(module, _NORMS):
        return "norms"
    return "biases" if name == "bias" else "weights"
