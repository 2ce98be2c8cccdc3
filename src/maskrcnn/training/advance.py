"""One step of a training."""

from __future__ import annotations

from collections.abc import Sequence

from maskrcnn.config import Config
from maskrcnn.data.dataset import Sample
from maskrcnn.training.distributed import Ranks
from maskrcnn.training.optimizer import full_learning_rate, set_learning_rate
from maskrcnn.training.schedule import learning_rate_factor
from maskrcnn.training.seeds import image_generator, seed_globally
from maskrcnn.training.state import TrainingState
from maskrcnn.training.step import StepReport, accumulate_gradients


def advance(state: TrainingState, batches: Sequence[Sequence[Sample]], config: Config, ranks: Ranks) -> StepReport:
    """One step: learning rate, gradients, new weights, new average."""
    ranks.begin(state.step + 1)
    set_learning_rate(state.optimizer, learning_rate(config, state.step))
    seed_globally(config.train.seed, state.step)
    generators = [
        image_generator(config.train.seed, state.step, position, state.device)
        for number, batch in enumerate(batches)
        for position in ranks.positions(number, len(batch))
    ]
    report = accumulate_gradients(state.model, batches, config, generators, ranks)
    state.is_whole = False
    if report.complaint:
        state.skipped_in_row += 1
    else:
        state.optimizer.step()
        state.skipped_in_row = 0
        if state.ema is not None:
            state.ema.update(state.model, state.step)
    state.step += 1
    state.is_whole = True
    return report


def learning_rate(config: Config, step: int) -> float:
    """Of step `step` (0 is the first), before any factor of a group of parameters."""
    return full_learning_rate(config) * learning_rate_factor(step, config.schedule)
