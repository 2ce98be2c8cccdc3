"""What a training that has ended says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from maskrcnn.config import Config, ScheduleConfig
from maskrcnn.training.schedule import learning_rate_factor
from maskrcnn.training.state import TrainingState

BY_HEART = 0.95
"""The AP at IoU 0.5 that a model reaches on the few images it learns by heart, unless something is wrong."""


def lessons(state: TrainingState, config: Config, metrics: Mapping[str, Any]) -> Iterator[str]:
    """A line on each thing worth knowing.

    Args:
        state: at the end.
        config: the settings.
        metrics: of the last evaluation, as in `metrics.json`.
    """
    if state.step < config.schedule.steps:
        yield (
            f"ended early, after step {state.step}: {state.stale} evaluations in a row without a gain of "
            f"{config.train.min_gain:g} (train.patience)"
        )
    if 0 < state.step < config.schedule.warmup_steps:
        yield _still_warming_up(state.step, config.schedule)
    if state.start_score is not None and state.best_score is not None:
        yield _compared(state.start_score, state.best_score, state.best_step)
    if config.train.overfit:
        yield _by_heart(config.train.overfit, metrics)


def _compared(start: float, best: float, best_step: int) -> str:
    if best_step == 0:
        return f"score {start:.4f} at the start, and none better since: the best model is the start itself"
    return f"score {start:.4f} at the start, {best:.4f} after step {best_step} ({best - start:+.4f})"


def _still_warming_up(steps: int, schedule: ScheduleConfig) -> str:
    highest = max(learning_rate_factor(step, schedule) for step in range(steps))
    return (
        f"ended within the warm-up of {schedule.warmup_steps} steps: the learning rate was {highest:.2f} of "
        f"optimizer.lr at most; for so few steps, --set schedule.warmup_steps={steps // 10}"
    )


def _by_heart(count: int, metrics: Mapping[str, Any]) -> str:
    kind: Mapping[str, Any] = next((m for m in metrics.values() if isinstance(m, Mapping) and "AP50" in m), {})
    value = kind.get("AP50")
    if value is None:
        return f"train.overfit: nothing to measure on the {count} images"
    if value > BY_HEART:
        return f"train.overfit: AP50 {value:.3f} on the {count} images: the model can learn these labels"
    return (
        f"train.overfit: AP50 {value:.3f} on the {count} images, expected above {BY_HEART}: train for longer; if that "
        "does not help, look at the labels (maskrcnn check) and at the objects' sizes in the input (input.min_size)"
    )
