"""Whether the images are ready when the training step is: reading one batch on one core, beside one step on all.

python benchmarks/loader.py --data DIR [--preset nuclei] [--batches 20]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

import maskrcnn
from maskrcnn.acceleration import for_training
from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.data.dataset import Sample
from maskrcnn.process import begin_with_settings
from maskrcnn.training.data import TrainingData
from maskrcnn.training.optimizer import build_optimizer, set_learning_rate
from maskrcnn.training.step import accumulate_gradients


def milliseconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)


def measure(config: Config, num_batches: int) -> tuple[float, float]:
    """Medians in milliseconds: reading, resizing and varying a batch on one core; a training step on all cores."""
    config = replace(config, data=replace(config.data, num_workers=0))
    data = TrainingData.open(config, print)
    step_by_step, read = data.steps(config, start=0), []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    reading = [milliseconds(lambda: read.append(next(step_by_step))) for _ in range(num_batches)]
    torch.set_num_threads(threads)

    model = for_training(build_model(config, len(data.categories), data.categories.num_keypoints)).train()
    optimizer = build_optimizer(model, config.optimizer)
    set_learning_rate(optimizer, 1e-6)
    generators = [torch.Generator().manual_seed(number) for number in range(config.train.batch_size)]
    generators = generators * config.train.accumulate

    def step(batches: list[list[Sample]]) -> None:
        accumulate_gradients(model, batches, config, generators)
        optimizer.step()

    steps = [milliseconds(partial(step, batches)) for batches in read]
    return statistics.median(reading), statistics.median(steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--preset", default="nuclei")
    parser.add_argument("--batches", type=int, default=20)
    options = parser.parse_args()
    config = maskrcnn.preset(options.preset)
    config = replace(config, data=replace(config.data, root=options.data))
    reading, step = measure(config, options.batches)
    size = config.train.batch_size
    print(f"{options.preset}: a batch of {size} is read in {reading:.0f} ms by one core, a step takes {step:.0f} ms")
    print(f"workers needed: {reading / step:.2f}; the settings have {config.data.num_workers}")


if __name__ == "__main__":
    begin_with_settings()
    main()
