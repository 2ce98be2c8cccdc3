"""The learning rate as a pure function of the step, so that nothing about it needs saving."""

from __future__ import annotations

import math

from maskrcnn.config import ScheduleConfig


def learning_rate_factor(step: int, schedule: ScheduleConfig) -> float:
    """What the full learning rate is multiplied by in step `step` (0 is the first)."""
    return _warmup(step, schedule) * _decay(step, schedule)


def _warmup(step: int, schedule: ScheduleConfig) -> float:
    """Linear from `warmup_factor` in step 0 to 1 in step `warmup_steps` (Goyal et al. 2017, section 2.2)."""
    if step >= schedule.warmup_steps:
        return 1.0
    progress = step / schedule.warmup_steps
    return schedule.warmup_factor * (1 - progress) + progress


def _decay(step: int, schedule: ScheduleConfig) -> float:
    if schedule.name == "cosine":  # Loshchilov and Hutter 2017, eq. 5, without restarts, down to 0
        return 0.5 * (1 + math.cos(math.pi * step / schedule.steps))
    drops = sum(step >= round(milestone * schedule.steps) for milestone in schedule.milestones)
    return schedule.gamma**drops
