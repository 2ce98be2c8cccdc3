"""The training loop.

Everything random is a function of (seed, step, position of the image in the step): the batches, how each image is
changed, and which anchors and RoIs are drawn. So a run that was cut off at any moment resumes from its last state with
the same numbers, and on the CPU ends in the same bits (with the same number of threads and the same torch; another
number of threads adds up in another order).

See `folder.py` for what lies where in the output directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

from maskrcnn.acceleration import for_training
from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.data.dataset import Sample
from maskrcnn.devices import resolve_device
from maskrcnn.errors import UserError
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.structures import Categories
from maskrcnn.text import brief
from maskrcnn.training.data import TrainingData
from maskrcnn.training.ema import EMA
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.given import require_classes, require_usable, with_its_learning_rate
from maskrcnn.training.initial import Initial, read_initial, start_from
from maskrcnn.training.interruption import Interruption
from maskrcnn.training.optimizer import build_optimizer, full_learning_rate, set_learning_rate
from maskrcnn.training.progress import Screen, TrainingLog
from maskrcnn.training.resume import resume_run
from maskrcnn.training.schedule import learning_rate_factor
from maskrcnn.training.seeds import image_generator, seed_globally
from maskrcnn.training.state import TrainingState, save_state
from maskrcnn.training.step import StepReport, training_step
from maskrcnn.training.summary import training_summary
from maskrcnn.training.validation import validate
from maskrcnn.weights import save_model


@dataclass(frozen=True)
class TrainResult:
    """How training ended.

    Attributes:
        steps: optimiser steps done.
        metrics: of the last evaluation, as in `metrics.json`; empty without a val split.
        best_score: the best validation score (AP of masks, else of keypoints, else of boxes), None without a val split,
            or where nothing in it can be measured.
        best: the model file of that score; without one that of the last step.
        last: the model file of the last step.
    """

    steps: int
    metrics: dict[str, Any]
    best_score: float | None
    best: Path
    last: Path


def train(
    config: Config,
    output: str | Path,
    *,
    device: str = "auto",
    resume: bool = False,
    init: Initial | str | None = None,
    network: MaskRCNN | None = None,
    optimizer: torch.optim.Optimizer | None = None,
) -> TrainResult:
    """Train a model and leave it, its settings, its log and its state in the directory `output`.

    Args:
        config: the model, the data, and how to train.
        output: a new or empty directory, or with `resume` one that holds a run.
        device: "auto", "cpu", "cuda" or "cuda:<number>".
        resume: go on from the newest state in `output`; start anew if there is none.
        init: weights to start anew with: a model's name, a file, or what `read_initial` gave; None: random ones.
        network: one of your own with parts that no setting names, trained in place; None: that of the settings. `load`
            builds models from settings, so read its weights with `read_checkpoint` and `load_state_dict`.
        optimizer: one of your own over the network's parameters; its learning rates follow the schedule. None: that of
            the settings.

    Raises:
        UserError: what a user can mend: data, settings, the output directory, a loss that stays non-finite.
        SystemExit: after SIGINT or SIGTERM, with code 128 + the signal's number, when the state is saved.
    """
    if not isinstance(config, Config):
        raise UserError(
            f"train: expected settings, such as preset('small'), got {brief(config)}; name the data in them"
        )
    _require_one_process()
    require_usable(network, optimizer)
    if optimizer is not None:
        config = with_its_learning_rate(config, optimizer)
    folder, screen = RunFolder(Path(output)), Screen()
    with _deterministic(config.train.deterministic), Interruption() as interruption:
        data = TrainingData.open(config, screen.say)
        if init is None and network is None and not resume:
            screen.say("the weights are random: `maskrcnn models` lists trained ones to start with (--init NAME)")
        state = _fresh_state(config, data.categories, resolve_device(device), init, screen, network, optimizer)
        with folder.locked():
            if resume:
                resume_run(folder, state, config, data.fingerprint, screen.say)
            folder.claim(config, resume=resume)
            metrics = _run(state, config, data, folder, screen, interruption)
    best = folder.best if state.best_score is not None else folder.last
    return TrainResult(state.step, metrics, state.best_score, best, folder.last)


def _require_one_process() -> None:
    """Under a launcher of several ranks each would train by itself, all in the same folder."""
    if (world := os.environ.get("WORLD_SIZE", "")) not in ("", "1"):
        raise UserError(
            f"expected one process, got WORLD_SIZE={world} in the environment (from torchrun?): "
            "training runs in one process for now; start it without torchrun"
        )


def _run(
    state: TrainingState,
    config: Config,
    data: TrainingData,
    folder: RunFolder,
    screen: Screen,
    interruption: Interruption,
) -> dict[str, Any]:
    """All steps that are left, and what comes after them; the metrics at the end."""
    with TrainingLog(folder, screen, config, state) as log:
        for batches in data.steps(config, start=state.step):
            report = _advance(state, batches, config)
            log.step(state.step, _learning_rate(config, state.step - 1), report)
            _check_finite(state, report, config, screen)
            if _is_due(state.step, config.train.evaluate_every) and state.step < config.schedule.steps:
                _evaluate(state, config, data, folder, log)
            if _is_due(state.step, config.train.checkpoint_every) or interruption.signal:
                save_state(folder.states, state, config, data.fingerprint)
            if interruption.signal:
                _leave(folder, state, interruption.signal, screen)
        save_state(folder.states, state, config, data.fingerprint)
        metrics = _evaluate(state, config, data, folder, log)
        save_model(folder.last, state.averaged_model, config, data.categories, _summary(state, metrics, config, data))
    return metrics


def _fresh_state(
    config: Config,
    categories: Categories,
    device: torch.device,
    init: Initial | str | None,
    screen: Screen,
    network: MaskRCNN | None,
    optimizer: torch.optim.Optimizer | None,
) -> TrainingState:
    """A model with given weights, or with random ones that depend on the seed alone, and what trains it."""
    torch.manual_seed(config.train.seed)
    model = build_model(config, len(categories), categories.num_keypoints) if network is None else network
    require_classes(model, categories)
    if init is not None:
        initial = read_initial(init) if isinstance(init, str) else init
        screen.say(start_from(model, initial, config, categories))
    model = for_training(model).to(device).train()
    steps = build_optimizer(model, config.optimizer) if optimizer is None else optimizer
    ema = EMA(model, config.train.ema_decay) if config.train.ema_decay > 0 else None
    return TrainingState(model, steps, ema)


def _advance(state: TrainingState, batches: Sequence[Sequence[Sample]], config: Config) -> StepReport:
    """One step: learning rate, gradients, new weights, new average."""
    set_learning_rate(state.optimizer, _learning_rate(config, state.step))
    seed_globally(config.train.seed, state.step)
    positions = range(sum(map(len, batches)))
    generators = [image_generator(config.train.seed, state.step, position, state.device) for position in positions]
    report = training_step(state.model, state.optimizer, batches, config, generators)
    if report.complaint:
        state.skipped_in_row += 1
    else:
        state.skipped_in_row = 0
        if state.ema is not None:
            state.ema.update(state.model, state.step)
    state.step += 1
    return report


def _learning_rate(config: Config, step: int) -> float:
    return full_learning_rate(config) * learning_rate_factor(step, config.schedule)


def _check_finite(state: TrainingState, report: StepReport, config: Config, screen: Screen) -> None:
    """Tell of a skipped step; give up when too many came in a row."""
    if not report.complaint:
        return
    screen.say(f"step {state.step} skipped: {report.complaint}")
    if state.skipped_in_row > config.train.max_nonfinite_steps:
        raise UserError(
            f"training stopped: {state.skipped_in_row} steps in a row were not finite (the last: "
            f"{report.complaint}); try a lower optimizer.lr, optimizer.clip_norm, or look at these images"
        )


def _is_due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _evaluate(
    state: TrainingState, config: Config, data: TrainingData, folder: RunFolder, log: TrainingLog
) -> dict[str, Any]:
    """Metrics on the val split (empty without one); the best model so far is kept."""
    if data.val is None:
        return {}
    at_the_end = state.step >= config.schedule.steps
    metrics, score = validate(state.averaged_model, config, data, folder.evaluation, log.say, report=at_the_end)
    log.evaluation(state.step, metrics, score)
    if score is not None and (state.best_score is None or score >= state.best_score):  # of equal ones the later
        state.best_score, state.best_step = score, state.step
        save_model(folder.best, state.averaged_model, config, data.categories, _summary(state, metrics, config, data))
    return metrics


def _summary(state: TrainingState, metrics: dict[str, Any], config: Config, data: TrainingData) -> dict[str, Any]:
    return training_summary(state.step, state.ema is not None, metrics, data.dataset.labels, config.input)


def _leave(folder: RunFolder, state: TrainingState, signal: int, screen: Screen) -> NoReturn:
    screen.say(f"stopped after step {state.step}; the state is saved, go on with --resume --output {folder.root}")
    raise SystemExit(128 + signal)


@contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    """While entered, operations that give the same bits every time, where torch has them.

    On the CPU only gradients of indexing need it: they are otherwise added up by all threads in any order. On a GPU
    some operations have no such form; torch then warns and goes on. Torch would also fill all new memory with NaN, for
    programs that read what they never wrote; ours does not, and is spared the time.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warn_before = torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it, before its first use
    fill_before = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_before)
        torch.utils.deterministic.fill_uninitialized_memory = fill_before  # type: ignore[attr-defined]
