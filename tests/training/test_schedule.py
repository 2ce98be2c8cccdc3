from __future__ import annotations

import pytest

from maskrcnn.config import ScheduleConfig
from maskrcnn.training.schedule import learning_rate_factor


def test_steps_without_warmup() -> None:
    schedule = ScheduleConfig(steps=100, milestones=(0.6, 0.9), gamma=0.1, warmup_steps=0)
    factors = [learning_rate_factor(step, schedule) for step in (0, 59, 60, 89, 90, 99)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_milestones_given_as_thirds_fall_on_whole_steps() -> None:
    schedule = ScheduleConfig(steps=90, milestones=(2 / 3, 8 / 9), warmup_steps=0)
    factors = [learning_rate_factor(step, schedule) for step in (59, 60, 79, 80)]
    assert factors == pytest.approx([1, 0.1, 0.1, 0.01])


def test_cosine() -> None:
    schedule = ScheduleConfig(steps=100, name="cosine", warmup_steps=0)
    factors = [learning_rate_factor(step, schedule) for step in (0, 25, 50, 75, 100)]
    assert factors == pytest.approx([1, 0.8535533906, 0.5, 0.1464466094, 0], abs=1e-9)


def test_warmup_is_linear_and_multiplies_the_schedule() -> None:
    schedule = ScheduleConfig(steps=1000, milestones=(), warmup_steps=10, warmup_factor=0.1)
    factors = [learning_rate_factor(step, schedule) for step in (0, 5, 9, 10, 11)]
    assert factors == pytest.approx([0.1, 0.55, 0.91, 1, 1])
    cosine = ScheduleConfig(steps=20, name="cosine", warmup_steps=10, warmup_factor=0.0)
    assert learning_rate_factor(5, cosine) == pytest.approx(0.5 * 0.8535533906)


def test_warmup_longer_than_the_run() -> None:
    schedule = ScheduleConfig(steps=10, milestones=(), warmup_steps=100, warmup_factor=0.0)
    assert learning_rate_factor(9, schedule) == pytest.approx(0.09)
