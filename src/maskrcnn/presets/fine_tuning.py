"""How a model that is trained already learns from own images: gently, so that it does not lose what it knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from maskrcnn.config import Config, DataConfig, OptimizerConfig, ScheduleConfig, TrainConfig

_MOVING = ("bn", "sync_bn")
"""Norms whose statistics a few images would spoil."""


def fine_tuned(config: Config) -> Config:
    """The model of `config`, to be trained further.

    Batch norms are frozen, the rate is a sixth of that from random weights and smaller in earlier stages, and the start
    is measured too: it stays the best model unless training gains. Of the settings of its data those are kept that say
    what labels mean; how images were drawn from them was for that data alone.
    """
    return replace(
        config,
        **{name: _frozen(getattr(config, name)) for name in ("backbone", "fpn", "box_head", "mask_head")},
        data=DataConfig(stuff=config.data.stuff, crowd=config.data.crowd),  # what its labels mean
        keypoint_head=replace(config.keypoint_head, shift=0.0),  # own data has continuous coordinates
        optimizer=OptimizerConfig(
            name="adamw",
            lr=1e-4,
            reference_batch_size=4,
            weight_decay=0.05,
            bias_weight_decay=0.0,
            layer_decay=0.7,
            clip_norm=10,
        ),
        schedule=ScheduleConfig(steps=1000, name="cosine", warmup_steps=50),
        train=TrainConfig(batch_size=4, ema_decay=0.998, evaluate_start=True, evaluate_every=250, checkpoint_every=200),
    )


def _frozen(section: Any) -> Any:
    return replace(section, norm="frozen_bn") if section.norm in _MOVING else section
