"""The training: optimiser, schedule, loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maskrcnn.config.checks import require, require_positive


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """SGD or AdamW, with weight decay by kind of parameter."""

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.02
    """For `reference_batch_size` images a step; scaled in proportion to the actual batch."""
    reference_batch_size: int = 16
    momentum: float = 0.9
    weight_decay: float = 1e-4
    norm_weight_decay: float = 0.0
    bias_weight_decay: float = 1e-4
    clip_norm: float = 0.0
    """Largest gradient norm of a step; 0: no clipping."""

    def __post_init__(self) -> None:
        require_positive("optimizer.lr", self.lr)
        require_positive("optimizer.reference_batch_size", self.reference_batch_size)


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How long to train, and the learning rate over it: linear warm-up, then steps or a cosine."""

    steps: int = 90_000
    """Optimiser steps in all."""
    name: Literal["step", "cosine"] = "step"
    milestones: tuple[float, ...] = (2 / 3, 8 / 9)
    """Fractions of `steps` at which the rate drops by `gamma` (step schedule)."""
    gamma: float = 0.1
    warmup_steps: int = 1000
    warmup_factor: float = 1e-3
    """The rate starts at this fraction of the full rate."""

    def __post_init__(self) -> None:
        require_positive("schedule.steps", self.steps)
        require(
            all(0 < m < 1 for m in self.milestones),
            "schedule.milestones",
            "fractions between 0 and 1",
            self.milestones,
        )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The loop."""

    batch_size: int = 2
    """Images per forward pass."""
    accumulate: int = 1
    """Forward passes per optimiser step; the gradients equal one pass over all their images, averaged."""
    amp: bool = False
    """bf16 autocast."""
    ema_decay: float = 0.0
    """Exponential moving average of the weights, which is then evaluated and saved; 0: none."""
    seed: int = 0
    deterministic: bool = True
    log_every: int = 20
    """Steps."""
    evaluate_every: int = 0
    """Steps between evaluations on the val split; 0: only at the end."""
    checkpoint_every: int = 500
    """Steps between savings of the whole training state."""
    max_nonfinite_steps: int = 5
    """Steps in a row that may be skipped for a non-finite loss before training stops; 0: stop at once."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulate", "log_every", "checkpoint_every"):
            require_positive(f"train.{name}", getattr(self, name))
        require(self.seed >= 0, "train.seed", "0 or more", self.seed)
        require(0.0 <= self.ema_decay < 1.0, "train.ema_decay", "0 up to, not including, 1", self.ema_decay)
