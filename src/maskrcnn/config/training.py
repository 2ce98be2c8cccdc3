"""The training: optimiser, schedule, loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from maskrcnn.config.checks import Count, Fraction, Length, Range, Section, Steps, require

_Inside = Annotated[float, Range(0, 1, above=True, below=True)]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Section, name="optimizer"):
    """SGD or AdamW, with weight decay by kind of parameter."""

    name: Literal["sgd", "adamw"] = "sgd"
    lr: Annotated[float, Range(0, 1000, above=True)] = 0.02
    """For `reference_batch_size` images a step; scaled in proportion to the actual batch."""
    reference_batch_size: Count = 16
    momentum: Annotated[float, Range(0, 1, below=True)] = 0.9
    weight_decay: Fraction = 1e-4
    norm_weight_decay: Fraction = 0.0
    bias_weight_decay: Fraction = 1e-4
    layer_decay: Annotated[float, Range(0, 1, above=True)] = 1.0
    """The last stage of the backbone learns at this share of the rate, every earlier one and the stem at this share of
    the next one's, so that what was learned before changes less the more general it is; 1: all alike."""
    clip_norm: Annotated[float, Range(0, 1e9)] = 0.0
    """Largest gradient norm of a step; 0: no clipping."""


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig(Section, name="schedule"):
    """How long to train, and the learning rate over it: linear warm-up, then steps or a cosine."""

    steps: Annotated[int, Range(1, 1_000_000_000)] = 90_000
    """Optimiser steps in all."""
    epochs: Annotated[float, Range(0, 1e6)] = 0.0
    """Passes over the training images, from which `steps` follows when training begins; 0: `steps` counts."""
    minutes: Annotated[float, Range(0, 1e6)] = 0.0
    """How long to train, evaluations apart: `steps` follows from the time of a few steps when training begins; 0:
    `steps` counts."""
    name: Literal["step", "cosine"] = "step"
    milestones: Annotated[tuple[_Inside, ...], Length(0, 1000)] = (2 / 3, 8 / 9)
    """Fractions of `steps` at which the rate drops by `gamma` (step schedule)."""
    gamma: Annotated[float, Range(0, 1, above=True)] = 0.1
    warmup_steps: Steps = 1000
    warmup_factor: Fraction = 1e-3
    """The rate starts at this fraction of the full rate."""

    def __post_init__(self) -> None:
        super().__post_init__()
        both = bool(self.epochs and self.minutes)
        require(not both, "schedule.minutes", "0 where schedule.epochs is given", self.minutes)


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section, name="train"):
    """The loop."""

    batch_size: Count = 2
    """Images per forward pass; of several ranks, of all of them together."""
    batch_memory: Fraction = 0.0
    """Choose `batch_size`, at most 16, when training begins, so that this share of free memory is used; 0: as set."""
    accumulate: Count = 1
    """Forward passes per optimiser step; the gradients equal one pass over all their images, averaged."""
    amp: bool = False
    """bf16 autocast."""
    ema_decay: Annotated[float, Range(0, 1, below=True)] = 0.0
    """Exponential moving average of the weights, which is then evaluated and saved; 0: none."""
    seed: Annotated[int, Range(0, 2**53)] = 0
    deterministic: bool = True
    log_every: Annotated[int, Range(1, 1_000_000_000)] = 20
    """Steps."""
    evaluate_every: Steps = 0
    """Steps between evaluations on the val split; 0: only at the end, and four times where `steps` follows from
    `epochs` or `minutes`."""
    evaluate_start: bool = False
    """Evaluate before the first step too, where the start knows the classes: what training is compared with at its end,
    and what is kept as the best model unless it gains."""
    patience: Steps = 0
    """Training ends after so many evaluations in a row without a gain of `min_gain`; 0: it never ends early."""
    min_gain: Fraction = 0.001
    """Of the score, above the best before; smaller ones do not count as a gain."""
    overfit: Steps = 0
    """Learn so many training images by heart, unchanged, and measure on them: can this model learn these labels? 0:
    train as usual."""
    checkpoint_every: Annotated[int, Range(1, 1_000_000_000)] = 500
    """Steps between savings of the whole training state."""
    rank_timeout: Annotated[int, Range(5, 86_400)] = 300
    """Seconds that ranks wait for each other in a step, after the first."""
    loggers: Annotated[tuple[Literal["tensorboard", "wandb", "mlflow", "csv"], ...], Length(0, 4)] = ("tensorboard",)
    """Where else the numbers of log.jsonl go; one that is not installed, or fails, is left out with a line."""
    max_nonfinite_steps: Steps = 5
    """Steps in a row that may be skipped for a non-finite loss before training stops; 0: stop at once."""
