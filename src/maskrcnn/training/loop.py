"""The training loop.

Everything random is a function of (seed, step, position of the image in the step): the batches, how each image is
changed, and which anchors and RoIs are drawn. So a run that was cut off at any moment resumes from its last state with
the same numbers, and on the CPU ends in the same bits (with the same number of threads and the same torch; another
number of threads adds up in another order).

See `folder.py` for what lies where in the output directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from maskrcnn.config import Config
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.devices import resolve_device
from maskrcnn.errors import UserError
from maskrcnn.failures import failure_of_machine
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.text import brief
from maskrcnn.training.advance import advance, learning_rate
from maskrcnn.training.channel_statistics import with_measured_channels
from maskrcnn.training.data import TrainingData
from maskrcnn.training.determinism import deterministic
from maskrcnn.training.distributed import Ranks, joined
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.given import require_usable, with_its_learning_rate
from maskrcnn.training.initial import Initial, read_initial
from maskrcnn.training.interruption import Interrupted, Interruption
from maskrcnn.training.length import with_length
from maskrcnn.training.lessons import lessons
from maskrcnn.training.loggers import Logger
from maskrcnn.training.progress import Callback, Log, Screen, SilentLog, TrainingLog, Watchers
from maskrcnn.training.resume import resume_run
from maskrcnn.training.start import fresh_state
from maskrcnn.training.state import TrainingState, save_state
from maskrcnn.training.step import StepReport
from maskrcnn.training.summary import training_summary
from maskrcnn.training.validation import validate
from maskrcnn.training.watched import WatchedImages
from maskrcnn.weights import save_model


@dataclass(frozen=True)
class TrainResult:
    """How training ended.

    Attributes:
        steps: optimiser steps done.
        metrics: of the last evaluation, as in `metrics.json`; empty without a val split.
        best_score: the best validation score (`Metrics.score`), None without a val split,
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
    output: str | Path | None = None,
    *,
    device: str = "auto",
    resume: bool = False,
    init: Initial | str | None = None,
    network: MaskRCNN | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[Callback] = (),
    labels: LabelContent | None = None,
) -> TrainResult:
    """Train a model and leave it, its settings, its log and its state in the directory `output`.

    Args:
        config: the model, the data, and how to train.
        output: must be given: a new or empty directory, or with `resume` one that holds a run.
        device: "auto", "cpu", "cuda" or "cuda:<number>".
        resume: continue from the newest state in `output`; start anew if there is none.
        init: weights to start anew with: a model's name, a file, or what `read_initial` gave; None: random ones.
        network: one of your own with parts that no setting names, trained in place; None: that of the settings. `load`
            builds models from settings, so read its weights with `read_checkpoint` and `load_state_dict`.
        optimizer: one of your own over the network's parameters; its learning rates follow the schedule. None: that of
            the settings.
        loggers: your own, beside those that `train.loggers` names; one that fails is left out, and ends nothing.
        callbacks: functions that get each line of log.jsonl, a dictionary, as it is written.
        labels: the content of `config.data.root`, where it has been read already (`undivided_labels`).

    Raises:
        UserError: anything the user can fix: data, settings, the output directory, a loss that stays non-finite, no
            memory or no space left.
        SystemExit: after SIGINT, SIGTERM or SIGHUP, with code 128 + the signal's number, when the state is saved.
    """
    if not isinstance(config, Config):
        raise UserError(
            f"train: expected settings, such as preset('small'), got {brief(config)}; name the data in them"
        )
    if output is None:
        raise UserError("train: expected a directory for the results as `output`, got none")
    require_usable(network, optimizer)
    if optimizer is not None:
        config = with_its_learning_rate(config, optimizer)
    folder = RunFolder(Path(output))
    with joined(resolve_device(device), config.train.rank_timeout) as ranks:
        ranks.slice_of(config.train.batch_size)
        screen = Screen(quiet=not ranks.is_first)
        with deterministic(config.train.deterministic), Interruption(screen.say) as interruption:
            data = TrainingData.open(config, screen.say, folder.split, labels)
            if init is None and network is None and not (resume and folder.has_state):
                screen.say("the weights are random: `maskrcnn models` lists trained ones to start with (--init NAME)")
            initial = read_initial(init) if isinstance(init, str) else init
            config = with_measured_channels(config, data.dataset, screen.say)
            state = fresh_state(config, data.categories, ranks, initial, screen.say, network, optimizer)
            state.start_knows = initial is not None and initial.knows(data.categories)
            config = with_length(config, state, data, ranks, goes_on=resume and folder.has_state, say=screen.say)
            ranks.wait()  # all have looked at the folder before one writes to it
            with folder.locked() if ranks.is_first else nullcontext():
                if resume:
                    config = resume_run(folder, state, config, data, screen.say)
                ranks.wait()
                if ranks.is_first:
                    folder.claim(config, resume=resume)
                    data.division.keep(folder.split)
                run = _Run(state, config, data, folder, screen, interruption, ranks, Watchers(loggers, callbacks))
                metrics = run.to_its_end()
    best = folder.best if state.best_score is not None else folder.last
    return TrainResult(state.step, metrics, state.best_score, best, folder.last)


@dataclass(frozen=True)
class _Run:
    """Everything that a run is made of; `state` changes."""

    state: TrainingState
    config: Config
    data: TrainingData
    folder: RunFolder
    screen: Screen
    interruption: Interruption
    ranks: Ranks
    watchers: Watchers

    def to_its_end(self) -> dict[str, Any]:
        """All steps that are left, and what comes after them; the metrics at the end."""
        state, config = self.state, self.config
        with self._kept(), self._log() as log:
            if state.step == 0:
                self._save()  # a run that is resumed is not told again what weights it starts with
                self._evaluate_start(log)
            self._evaluate_if_due(log)  # a run may have been cut off while it did
            for batches in self.data.steps(config, state.step, self.ranks.rank, self.ranks.world):
                if self._is_stale():
                    break
                report = advance(state, batches, config, self.ranks)
                log.step(state.step, learning_rate(config, state.step - 1), report)
                _check_finite(state, report, config, self.screen)
                self._evaluate_if_due(log)
                if _is_due(state.step, config.train.checkpoint_every):
                    self._save()
                self._stop_together()
            if self.data.val is not None:
                self._save()
            metrics = self._evaluate(log, last=True)
            self._save(metrics)  # the best score too, should the run be made longer
            for line in lessons(state, config, metrics):
                log.say(line)
        return metrics

    def _log(self) -> Log:
        if not self.ranks.is_first:
            return SilentLog()
        return TrainingLog(self.folder, self.screen, self.config, self.state, self.watchers)

    def _stop_together(self) -> None:
        """A signal may have reached one rank alone; all stop after the same step, or image of an evaluation."""
        self.interruption.check(self.ranks.highest)

    def _evaluate_start(self, log: Log) -> None:
        """Measure the weights that training starts with; until a better one is found, they are the best model."""
        state = self.state
        if self.config.train.evaluate_start and state.start_knows and self.data.val is not None:
            self._evaluate(log)
            state.start_score = state.best_score

    def _is_stale(self) -> bool:
        """Whether training ends early; asked before each step, so that a resumed run does not go on either."""
        patience = self.config.train.patience
        return 0 < patience <= self.state.stale

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Nothing is lost when training ends early, by a signal or because the machine fails."""
        try:
            yield
        except Interrupted as interrupted:
            self.screen.say(f"stopped after step {self.state.step}; {self._saved(together=True)}")
            raise SystemExit(128 + interrupted.signal) from None
        except Exception as error:
            reason = failure_of_machine(error)
            if reason is None:
                raise
            raise UserError(f"training stopped after step {self.state.step}: {reason}; {self._saved()}") from error

    def _saved(self, together: bool = False) -> str:
        """Save what there is, and say how to continue; `together`: all ranks are here, so that they can exchange."""
        resume = f"resume with --resume --output {self.folder.root}"
        if self.ranks.world > 1 and not together:
            return f"the last saved state counts; {resume}"
        if not self.state.is_whole:
            return f"the step was half done, so the last saved state counts; {resume}"
        try:
            self._save()
        except (UserError, MemoryError) as error:
            return f"the state cannot be saved ({error}), so the last saved one counts; {resume}"
        return f"the state is saved, {resume}; the model so far is {self.folder.last}"

    def _save(self, metrics: dict[str, Any] | None = None) -> None:
        """The state, and a model that can be used; the pictures that all ranks have read are known by it."""
        self.data.pictures.merge(self.ranks.gathered(self.data.pictures.fresh()))
        if not self.ranks.is_first:
            return
        self.data.pictures.save(self.folder.pictures)
        save_state(self.folder.states, self.state, self.config, self.data.fingerprint)
        self._save_model(self.folder.last, metrics or {})

    def _save_model(self, path: Path, metrics: dict[str, Any]) -> None:
        if not self.ranks.is_first:
            return
        state = self.state
        labels, config = self.data.dataset.labels, self.config
        summary = training_summary(state.step, state.ema is not None, metrics, labels, config)
        save_model(path, state.averaged_model, config, self.data.categories, summary)

    def _evaluate_if_due(self, log: Log) -> None:
        """In mid-training; evaluating may take long, so the state is saved before as well as after."""
        state = self.state
        is_due = _is_due(state.step, self.config.train.evaluate_every) and state.step < self.config.schedule.steps
        if self.data.val is not None and is_due and state.evaluated_step != state.step:
            self._save()
            self._evaluate(log)
            self._save()

    def _evaluate(self, log: Log, last: bool = False) -> dict[str, Any]:
        """Metrics on the val split (empty without one); the best model so far is kept."""
        state = self.state
        if self.data.val is None:
            return {}
        metrics, score = self.ranks.of_first(self._measured(log, last))
        log.evaluation(state.step, metrics, score)
        if score is not None and (state.best_score is None or score >= state.best_score):  # of equal ones the later
            self._save_model(self.folder.best, metrics)
            state.best_score, state.best_step = score, state.step
        if score is not None and (state.gain_score is None or score > state.gain_score + self.config.train.min_gain):
            state.gain_score, state.stale = score, 0
        elif score is not None and state.evaluated_step != state.step:  # the report at the end may measure them again
            state.stale += 1
        state.evaluated_step, state.measured_on = state.step, self.data.measured_on
        return metrics

    def _measured(self, log: Log, last: bool) -> tuple[dict[str, Any], float | None]:
        assert self.data.val is not None
        return validate(
            self.state.averaged_model,
            self.config,
            self.data,
            self.folder.evaluation,
            log.say,
            ranks=self.ranks,
            watched=WatchedImages(self.data.val, self.folder.watched, log.picture, self.state.step),
            check=self._stop_together,
            report=last,
        )


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
