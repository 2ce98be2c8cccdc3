"""Equal budgets of processor time for systems whose steps cost differently."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.ablations.experiments import changed

import maskrcnn
from maskrcnn import Config
from maskrcnn.training.initial import Initial

FIRST, MEASURED = 10, 30
"""Steps before the measured ones, in which pages and caches fill, and measured ones."""


def steps_within(config: Config, seconds: float, init: Initial | None = None) -> tuple[int, float]:
    """How many training steps fit into so much processor time of this process, and what one takes."""
    cost = seconds_per_step(config, init)
    return max(int(seconds / cost), 1), cost


def seconds_per_step(config: Config, init: Initial | None = None) -> float:
    """Processor time of this process for one step, reading and changing the images included.

    A run of `FIRST` steps and one of `MEASURED` more: what both spend besides, on reading labels, is in both.
    """
    return (_seconds(config, init, FIRST + MEASURED) - _seconds(config, init, FIRST)) / MEASURED


def _seconds(config: Config, init: Initial | None, steps: int) -> float:
    short = changed(config, schedule={"steps": steps, "warmup_steps": 5})
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        maskrcnn.train(without_evaluation(short), Path(folder) / "run", device="cpu", init=init)
        return time.process_time() - start


def without_evaluation(config: Config) -> Config:
    """Settings that train in this process alone, so that its clock sees all, and measure nothing."""
    data = replace(config.data, val_annotations="", num_workers=0)
    return replace(config, data=data, train=replace(config.train, evaluate_every=0))
