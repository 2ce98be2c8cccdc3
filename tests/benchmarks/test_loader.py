from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from benchmarks.loader import measure

import maskrcnn

EXAMPLES = Path(__file__).parents[2] / "examples/nuclei_mini"


def test_reading_and_steps_are_timed_and_the_threads_are_left_as_they_were() -> None:
    config = maskrcnn.preset("tiny")
    config = replace(config, data=replace(config.data, root=str(EXAMPLES)))
    threads = torch.get_num_threads()
    reading, step = measure(config, num_batches=1)
    assert reading > 0 and step > 0 and torch.get_num_threads() == threads
