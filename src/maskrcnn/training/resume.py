"""Continuing a run that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.settings import config_from_dict, differing_settings, read_settings
from maskrcnn.text import brief
from maskrcnn.training.data import TrainingData, is_division_kept
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.state import SavedState, TrainingState, read_newest_state, restore

_DIVIDING = ("val_fraction", "group_by", "class_map", "colours")
"""Of `data`: where the run has divided the labels, its division is kept, with the names of the classes."""

_HARMLESS = frozenset(
    {
        "data.root",  # the same data may have moved; its fingerprint is compared instead
        "data.images",
        "data.train_annotations",
        "data.val_annotations",
        *(f"data.{name}" for name in _DIVIDING),
        "data.num_workers",
        "schedule.steps",  # said, since the learning rate depends on it
        "train.log_every",
        "train.loggers",
        "train.evaluate_every",
        "train.checkpoint_every",
        "train.max_nonfinite_steps",
        "train.evaluate_start",
        "train.patience",
        "train.min_gain",
        "evaluation.max_detections",  # said, since scores before cannot be compared
    }
)
"""Settings that a resumed run may change: all but one without an effect on the weights."""


def resume_run(
    folder: RunFolder, state: TrainingState, config: Config, data: TrainingData, say: Callable[[str], None]
) -> Config:
    """Make the fresh `state` that of the run in `folder`; leave it as it is when there is none yet.

    Args:
        folder: of the run.
        state: built from `config`.
        config: the settings now.
        data: the training data now.
        say: gets a line on what was done.

    Returns:
        `config`, of whose settings those of the labels' division are the run's.

    Raises:
        UserError: the settings or the data are not those of the run, or no saved state is readable.
    """
    saved = read_newest_state(folder.states, say)
    config = _with_kept_division(_settings_before(folder, saved) or config, config, folder, data, say)
    if saved is None:
        say(f"{folder.root}: no training state yet, starting anew")
        return config
    _check_settings(saved, config)
    _check_labels(saved, data.fingerprint)
    _check_pictures(saved, data.pictures.compare(folder.pictures, say))
    restore(state, saved)
    for line in _changes(saved, config):
        say(line)
    if reasons := _other_measure(state, saved, config, data):
        best = f"{state.best_score:.4f} after step {state.best_step}"
        say(f"{' and '.join(reasons)}: the best score, {best}, begins anew")
        state.forget_scores()
    say(f"{saved.path}: continuing after step {state.step}")
    return config


def _settings_before(folder: RunFolder, saved: SavedState | None) -> Config | None:
    """Those the run began with; None where it did not come so far."""
    if saved is not None:
        return config_from_dict(saved.header["config"])
    path = folder.settings
    return config_from_dict(read_settings(path), str(path)) if path.is_file() else None


def _with_kept_division(
    before: Config, config: Config, folder: RunFolder, data: TrainingData, say: Callable[[str], None]
) -> Config:
    """What would divide the labels otherwise has come too late; `config.yaml` must not claim it."""
    kept = {name: getattr(before.data, name) for name in _DIVIDING}
    late = [f"data.{name}" for name, value in kept.items() if value != getattr(config.data, name)]
    if not (late and is_division_kept(folder.split, data.paths)):
        return config
    say(f"{', '.join(late)}: left out, since the run keeps its division of the labels ({folder.split})")
    return replace(config, data=replace(config.data, **kept))


def _changes(saved: SavedState, config: Config) -> Iterator[str]:
    """What has changed without being a reason to refuse."""
    for name, now in (("maskrcnn", version("maskrcnn")), ("torch", torch.__version__)):
        before = saved.header["package" if name == "maskrcnn" else name]
        if before != now:
            yield f"the state was written with {name} {before}, this is {now}: the last bits may differ from now on"
    old, new = config_from_dict(saved.header["config"]).schedule.steps, config.schedule.steps
    done = saved.header["step"]
    if new != old:
        rest = f"step {done + 1} on" if new > done else f"now on; {done} are done, so what is left is the evaluation"
        yield f"schedule.steps: {new} instead of {old}; the learning rate is that of a run of {new} steps from {rest}"


def _other_measure(state: TrainingState, saved: SavedState, config: Config, data: TrainingData) -> list[str]:
    """Why scores to come cannot be compared with the best one; states of earlier versions do not know their labels."""
    if state.best_score is None or data.val is None:
        return []
    old, new = config_from_dict(saved.header["config"]).evaluation.max_detections, config.evaluation.max_detections
    reasons = [f"evaluation.max_detections is {new} instead of {old}"] if new != old else []
    if state.measured_on not in (None, data.measured_on):
        reasons.append(f"{data.val.report.source} has other labels to measure on than before")
    return reasons


def _check_settings(saved: SavedState, config: Config) -> None:
    differing = set(differing_settings(config_from_dict(saved.header["config"]), config)) - _HARMLESS
    if differing:
        raise _refusal(saved.path, f"these settings differ from the run's: {', '.join(sorted(differing))}")


def _check_labels(saved: SavedState, data: dict[str, Any]) -> None:
    differing = [name for name in data if saved.header["data"].get(name) != data[name]]
    if differing:
        raise _refusal(saved.path, f"the training data is not the run's: other {', '.join(differing)}")


def _check_pictures(saved: SavedState, changed: list[str]) -> None:
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise _refusal(saved.path, f"pictures have changed or gone since they were read: {brief(changed[0])}{more}")


def _refusal(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: cannot resume, since {reason}; restore what was, or train into a new directory")
