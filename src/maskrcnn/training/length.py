"""How many steps a training takes and how many images each, where the settings ask for passes, minutes or memory.

What follows is settled once, before the first step, and written into the run's settings: a resumed run measures nothing
again, and its schedule is the same unless another number of steps or passes is given.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.memory import free_bytes
from maskrcnn.training.advance import advance
from maskrcnn.training.data import TrainingData
from maskrcnn.training.distributed import Ranks
from maskrcnn.training.progress import memory_mib
from maskrcnn.training.state import TrainingState

MEASURED_STEPS = 4
"""Of which the first, which takes longer, does not count."""
WARMUP_SHARE = 0.1
"""Of the steps, at most, where their number follows from something else."""
EVALUATIONS = 4
"""So often at least is such a training evaluated."""
LARGEST_BATCH = 16

Say = Callable[[str], None]


def with_length(
    config: Config, state: TrainingState, data: TrainingData, ranks: Ranks, *, goes_on: bool, say: Say
) -> Config:
    """`config` with `schedule.steps` and `train.batch_size` as they follow from the data and the machine.

    Args:
        config: the settings.
        state: before the first step; steps are tried on a copy.
        data: to train on.
        ranks: of which there may be only one where something is measured.
        goes_on: whether a run is continued: its warm-up and its batches are settled, its number of passes may change.
        say: gets a line on each thing found out.

    Raises:
        UserError: a resumed run is to be measured anew, or several ranks are to be measured.
    """
    schedule = config.schedule
    measured = {"schedule.minutes": schedule.minutes, "train.batch_memory": config.train.batch_memory}
    if goes_on and (names := [name for name, value in measured.items() if value]):
        raise UserError(
            f"{names[0]}: expected 0 with --resume, since it is measured once, when a run begins; to go on for longer: "
            "--resume --set schedule.steps=N, or --epochs N"
        )
    if ranks.world > 1 and (schedule.minutes or config.train.batch_memory):
        raise UserError("schedule.minutes, train.batch_memory: expected 0 with several ranks; give steps and images")
    if config.train.batch_memory:
        config = with_batch_size(config, state, data, ranks, say)
    if schedule.epochs:
        images = config.train.batch_size * config.train.accumulate
        steps = max(1, round(schedule.epochs * len(data.dataset) / images))
        if goes_on:
            return replace(config, schedule=replace(schedule, steps=steps, epochs=0.0))
        return _with_steps(config, steps)
    return _with_minutes(config, state, data, ranks, say) if schedule.minutes else config


def _with_minutes(config: Config, state: TrainingState, data: TrainingData, ranks: Ranks, say: Say) -> Config:
    seconds = seconds_per_step(config, state, data, ranks)
    timed = _with_steps(config, max(1, int(60 * config.schedule.minutes / seconds)))
    say(
        f"{seconds:.2f} s a step, so {timed.schedule.steps} steps in {config.schedule.minutes:g} minutes, evaluations "
        f"apart; {memory_mib(state.device)} MiB of memory"
    )
    return timed


def _with_steps(config: Config, steps: int) -> Config:
    """Warm-up and evaluations fit into them."""
    schedule, train = config.schedule, config.train
    warmup = min(schedule.warmup_steps, int(WARMUP_SHARE * steps))
    every = max(1, steps // EVALUATIONS)
    return replace(
        config,
        schedule=replace(schedule, steps=steps, epochs=0.0, minutes=0.0, warmup_steps=warmup),
        train=replace(train, evaluate_every=min(train.evaluate_every or every, every)),
    )


def seconds_per_step(config: Config, state: TrainingState, data: TrainingData, ranks: Ranks) -> float:
    """The median time of the first steps, loading included, taken by a copy that is thrown away."""
    trial, few = copy.deepcopy(state), replace(config, schedule=replace(config.schedule, steps=MEASURED_STEPS))
    seconds, start = [], time.perf_counter()
    for batches in data.steps(few, start=0):
        advance(trial, batches, config, ranks)
        now = time.perf_counter()
        seconds.append(now - start)
        start = now
    return statistics.median(seconds[1:])


def with_batch_size(config: Config, state: TrainingState, data: TrainingData, ranks: Ranks, say: Say) -> Config:
    """As many images at a time as the memory allows: what the second to the fourth image added, extrapolated."""
    used = {}
    for images in (1, 4):
        trial = copy.deepcopy(state)
        one = _of_batch(config, images)
        (batches,) = data.steps(replace(one, schedule=replace(config.schedule, steps=1)), start=0)
        advance(trial, batches, one, ranks)
        used[images] = memory_mib(state.device)
    each, free = (used[4] - used[1]) // 3, _free_bytes(state.device)
    size = LARGEST_BATCH if free is None else fitting_batch(each, int(config.train.batch_memory * (free >> 20)))
    chosen = _of_batch(config, min(size, len(data.dataset)))
    say(f"train.batch_size: {chosen.train.batch_size}; {each} MiB an image, {used[4]} MiB in use with 4 images")
    return replace(chosen, train=replace(chosen.train, batch_memory=0.0))


def fitting_batch(each: int, free: int) -> int:
    """How many images fit, beside four that have been seen to, into `free` MiB when each takes `each`.

    Four where that is 0: what came before took more memory than any step, so that the largest amount tells nothing.
    """
    return min(4 + free // each, LARGEST_BATCH) if each > 0 else 4


def _free_bytes(device: torch.device) -> int | None:
    """Of the memory that images take: the GPU's, or this process's."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_bytes()


def _of_batch(config: Config, images: int) -> Config:
    return replace(config, train=replace(config.train, batch_size=images))
