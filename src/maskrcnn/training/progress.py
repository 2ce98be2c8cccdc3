"""What a run shows and records while it trains: screen, `log.jsonl`, a page, loggers, callbacks.

A line of `log.jsonl` with "kind" "step" has the step (counted from 1), the learning rate, the losses, the
gradient norm, images per second, seconds left and memory; with "kind" "evaluation" the step and the metrics.
Numbers are those of the last step, not smoothed; a smoothed curve can always be made from them, the reverse not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from maskrcnn.benchmark.memory import peak_bytes
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.files import write_atomically
from maskrcnn.structures.masks import ByteArray
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.loggers import Logger, Loggers
from maskrcnn.training.run_page import RunPage
from maskrcnn.training.state import TrainingState
from maskrcnn.training.step import StepReport


class Screen:
    """The user's terminal, or what replaces one: plain lines, on a terminal with a bar below them."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, soft_wrap=True, quiet=quiet)
        self._bar: Progress | None = None

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False, highlight=False)

    def start(self, step: int, steps: int) -> None:
        """Show the bar, if this is a terminal."""
        if self._console.is_terminal:
            columns = BarColumn(bar_width=30), MofNCompleteColumn(), TextColumn("steps  {task.description}")
            self._bar = Progress(*columns, console=self._console)
            self._bar.start()
            self._task = self._bar.add_task("", total=steps, completed=step)

    def move(self, step: int, text: str | None = None) -> None:
        """Bring the bar to `step`, with another text beside it if one is given."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=text)

    def stop(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.stop()


Callback = Callable[[Mapping[str, Any]], object]
"""Gets each line of `log.jsonl` as it is written; what it raises ends the training, with the state as it was saved."""


@dataclass(frozen=True)
class Watchers:
    """What of the user's own gets the numbers of a run."""

    loggers: Sequence[Logger] = ()
    callbacks: Sequence[Callback] = ()


NOBODY = Watchers()


class TrainingLog:
    """Takes in every step; shows and records the first, the last and every `train.log_every`-th.

    Lines of `log.jsonl` after the step that training goes on from (a run that was cut off) are removed.

    Args:
        folder: of the run.
        screen: gets lines for people.
        config: how often, and to which loggers.
        state: of the training, as it starts.
        watchers: of the user's own.
    """

    def __init__(
        self,
        folder: RunFolder,
        screen: Screen,
        config: Config,
        state: TrainingState,
        watchers: Watchers = NOBODY,
    ) -> None:
        self._path = folder.log
        self._screen = screen
        self._steps = config.schedule.steps
        self._every = config.train.log_every
        self._device = state.device
        self._start = state.step
        self._speed = _Speed()
        self._page = RunPage(folder, self._steps)
        for entry in _cut_log(self._path, state.step, state.evaluated_step):
            self._page.take(entry)
        self._loggers = Loggers(folder, config, state.step, watchers.loggers, screen.say)
        self._callbacks = watchers.callbacks

    def __enter__(self) -> Self:
        self._screen.start(self._start, self._steps)
        self._speed.restart()
        return self

    def __exit__(self, *error: object) -> None:
        self._screen.stop()
        status = "finished" if error[0] is None else "stopped"
        self._page.write(status)
        self._loggers.close(status)

    def picture(self, name: str, step: int, pixels: ByteArray) -> None:
        """What the model finds in an image, (H, W, 3) uint8 RGB."""
        self._loggers.picture(name, step, pixels)

    def say(self, text: str) -> None:
        """One line on the screen."""
        self._screen.say(text)

    def step(self, step: int, learning_rate: float, report: StepReport) -> None:
        """Take in step `step` (1 is the first)."""
        self._speed.add(report.num_images)
        self._screen.move(step)
        if step != 1 and step != self._steps and step % self._every != 0:
            return
        images_per_second, seconds_left = self._speed.read(step, self._steps)
        entry = {
            "step": step,
            "learning_rate": learning_rate,
            "losses": report.losses,
            "gradient_norm": report.gradient_norm,
            "images_per_second": round(images_per_second, 3),
            "seconds_left": round(seconds_left),
            "memory_mib": memory_mib(self._device),
        }
        self._record("step", entry)
        self._screen.say(f"step {step}/{self._steps}  {describe(entry)}")
        self._screen.move(step, _pace(entry))

    def evaluation(self, step: int, metrics: Mapping[str, Any], score: float | None) -> None:
        """Show and record the metrics after step `step`; their time does not count as training time."""
        kind = next(iter(metrics), "")
        name = "mIoU" if kind == "semantic" else f"{kind} AP"
        shown = "no score, since there is nothing to find" if score is None else f"{name} {score:.4f}"
        self._screen.say(f"step {step}/{self._steps}  evaluation: {shown}")
        self._record("evaluation", {"step": step, "score": score, "metrics": metrics})
        self._speed.restart()

    def _record(self, kind: str, entry: Mapping[str, Any]) -> None:
        safe = _json_safe({"kind": kind, **entry})
        _append(self._path, json.dumps(safe))
        self._page.add(safe)
        self._loggers.record(kind, entry["step"], entry)
        for callback in self._callbacks:
            callback(safe)


def describe(entry: Mapping[str, Any]) -> str:
    """A logged step as one line for people."""
    losses = dict(entry["losses"])
    total = losses.pop("total")
    parts = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
    return f"loss {total:.3f} ({parts})  lr {entry['learning_rate']:.2e}  {_pace(entry)}  {entry['memory_mib']} MiB"


def _pace(entry: Mapping[str, Any]) -> str:
    return f"{entry['images_per_second']:.1f} images/s  {timedelta(seconds=entry['seconds_left'])} left"


def memory_mib(device: torch.device) -> int:
    """The largest amount of memory used so far: the GPU's, or this process's on the CPU (0 where unknown)."""
    return (peak_bytes(device) or 0) >> 20


class SilentLog:
    """In the place of a `TrainingLog`, for a rank that does not speak."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing was opened."""

    def say(self, text: str) -> None:
        """Not here."""

    def step(self, step: int, learning_rate: float, report: StepReport) -> None:
        """Not here."""

    def evaluation(self, step: int, metrics: Mapping[str, Any], score: float | None) -> None:
        """Not here."""

    def picture(self, name: str, step: int, pixels: ByteArray) -> None:
        """Not here."""


Log = TrainingLog | SilentLog


class _Speed:
    """Images per second since the last reading, and the time left at the pace so far."""

    def __init__(self) -> None:
        self._steps = 0
        self._seconds = 0.0
        self.restart()

    def restart(self) -> None:
        self._since = time.perf_counter()
        self._images = 0
        self._new_steps = 0

    def add(self, images: int) -> None:
        self._images += images
        self._new_steps += 1

    def read(self, step: int, steps: int) -> tuple[float, float]:
        seconds = time.perf_counter() - self._since
        rate = self._images / seconds
        self._steps += self._new_steps
        self._seconds += seconds
        self.restart()
        return rate, (steps - step) * self._seconds / self._steps


def _cut_log(path: Path, start: int, evaluated: int) -> list[Mapping[str, Any]]:
    """Drop what was logged after the state that training resumes from, and a last line that was cut off.

    Returns:
        What is left.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    last = {"step": start, "evaluation": evaluated}
    entries: list[Mapping[str, Any]] = [entry for line in lines if (entry := _entry(line)) is not None]
    kept = [entry for entry in entries if entry["step"] <= last[entry["kind"]]]
    write_atomically(path, "".join(f"{json.dumps(entry)}\n" for entry in kept))
    return kept


def _append(path: Path, line: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}; free some space, then --resume") from error


def _entry(line: str) -> dict[str, Any] | None:
    """A line of the log; None if it is damaged."""
    try:
        entry = json.loads(line)
        return entry if entry["kind"] in ("step", "evaluation") and entry["step"] >= 0 else None
    except (ValueError, KeyError, TypeError):
        return None


def _json_safe(value: Any) -> Any:
    """JSON knows no NaN and no infinity: they become null."""
    if isinstance(value, Mapping):
        return {key: _json_safe(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
