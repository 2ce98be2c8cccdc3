"""The training state: everything that a resumed run needs to end as an unbroken one would.

That is the model, its average, the optimiser, how many steps are done, and the best result so far. Batches,
random numbers and the learning rate are functions of (seed, step) and need no saving. The state is one
.safetensors file per saving (tensors, with the rest as JSON in its header), so nothing is ever unpickled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.files import remove_partial_files
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.settings import config_to_dict
from maskrcnn.text import brief
from maskrcnn.training.ema import EMA
from maskrcnn.training.optimizer import Optimizer
from maskrcnn.weights.checkpoint import load_weights
from maskrcnn.weights.tensor_file import read_tensors, write_tensors

FORMAT = 4
"""As of model files: goes up when another version of the package could not read the file any more.

4: what early stopping and the comparison with the start remember."""
KEEP = 2
"""The newest, and the one before in case the disk damages the newest."""


@dataclass
class TrainingState:
    """What changes while training.

    Attributes:
        model: in training.
        optimizer: over its parameters.
        ema: its average, or None.
        step: optimiser steps done, skipped ones included.
        skipped_in_row: how many of the last steps were skipped for a non-finite loss.
        best_score: the best validation score so far, or None before the first evaluation.
        best_step: the step it belongs to.
        evaluated_step: the step after which it was last evaluated, 0 before the first time.
        start_knows: whether the first weights knew the classes, so that they can be measured.
        start_score: the score before the first step, or None where it was not measured.
        gain_score: the best score of which a later one must be `train.min_gain` better to count as a gain.
        measured_on: checksum of the labels that these scores belong to; None before the first evaluation.
        stale: evaluations in a row that had a score, but no such gain.
        is_whole: False while a step is being taken, when it must not be saved.
    """

    model: MaskRCNN
    optimizer: Optimizer | torch.optim.Optimizer
    ema: EMA[MaskRCNN] | None
    step: int = 0
    skipped_in_row: int = 0
    best_score: float | None = None
    best_step: int = 0
    evaluated_step: int = 0
    start_knows: bool = False
    start_score: float | None = None
    gain_score: float | None = None
    measured_on: int | None = None
    stale: int = 0
    is_whole: bool = True

    def forget_scores(self) -> None:
        """What comes next is measured otherwise, so that nothing before can be compared with it."""
        self.best_score = self.start_score = self.gain_score = None
        self.best_step = self.stale = 0

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next(self.model.parameters()).device

    @property
    def averaged_model(self) -> MaskRCNN:
        """What is evaluated and saved: the average if there is one."""
        return self.model if self.ema is None else self.ema.model


_COUNTERS = (
    *("step", "skipped_in_row", "best_score", "best_step", "evaluated_step"),
    *("start_knows", "start_score", "gain_score", "measured_on", "stale"),
)


def save_state(folder: Path, state: TrainingState, config: Config, data: Mapping[str, Any]) -> Path:
    """Write the state to `folder`, atomically, and remove all but the last two; return the new file.

    Args:
        folder: of the run's states.
        state: what to save.
        config: the settings it belongs to.
        data: the fingerprint of the training data, JSON-able.

    Raises:
        UserError: the system refused to write; the earlier states are as they were.
    """
    path = folder / f"step-{state.step:08d}.safetensors"
    header = {
        "training_state": FORMAT,
        "package": version("maskrcnn"),
        "torch": torch.__version__,
        "config": config_to_dict(config),
        "data": dict(data),
        "optimizer": _numbers(state),
        **{name: getattr(state, name) for name in _COUNTERS},
    }
    write_tensors(path, _tensors(state), header)
    for old in saved_states(folder)[KEEP:]:
        old.unlink(missing_ok=True)
    return path


def saved_states(folder: Path) -> list[Path]:
    """The state files in `folder`, newest first."""
    return sorted((p for p in folder.glob("*.safetensors") if re.fullmatch(r"step-\d+", p.stem)), reverse=True)


@dataclass(frozen=True)
class SavedState:
    """A state as read from its file."""

    path: Path
    tensors: dict[str, Tensor]
    header: dict[str, Any]


def read_newest_state(folder: Path, say: Callable[[str], None]) -> SavedState | None:
    """The newest state in `folder` that can be read; `say` gets a line for each one that cannot.

    Raises:
        UserError: there are states, but none is readable, or the newest that is was written in another format: starting
            anew must be the user's decision.
    """
    remove_partial_files(folder)
    paths = saved_states(folder)
    for path in paths:
        try:
            tensors, header = read_tensors(path)
        except UserError as error:
            say(f"{error}; trying the state before")
        else:
            _check_format(path, header)
            return SavedState(path, tensors, header)
    if paths:
        raise UserError(f"{folder}: none of the {len(paths)} saved states is readable; train into a new directory")
    return None


def restore(state: TrainingState, saved: SavedState) -> None:
    """Make `state`, freshly built from the same settings, what it was when it was saved.

    Raises:
        UserError: the tensors do not fit.
    """
    groups = _split(saved.tensors)
    load_weights(state.model, groups["model"], str(saved.path))
    if state.ema is not None:
        load_weights(state.ema.model, groups["ema"], str(saved.path))
    _restore_optimizer(state, groups["optimizer"] | saved.header["optimizer"])
    for name in _COUNTERS:  # earlier versions said less of the start
        setattr(state, name, saved.header.get(name, getattr(state, name)))


def _check_format(path: Path, header: Mapping[str, Any]) -> None:
    if header.get("training_state") != FORMAT:
        raise UserError(
            f"{path}: expected a training state of format {FORMAT}, got {header.get('training_state')!r} "
            f"written by maskrcnn {header.get('package')}; go on with that version, or train into a new directory"
        )


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    """All tensors, named "<group>/<name>"; the optimiser's "optimizer/<parameter>/<what>"."""
    tensors = {f"model/{name}": tensor for name, tensor in state.model.state_dict().items()}
    if state.ema is not None:
        tensors |= {f"ema/{name}": tensor for name, tensor in state.ema.model.state_dict().items()}
    remembered = _remembered(state)
    return tensors | {f"optimizer/{name}": value for name, value in remembered.items() if isinstance(value, Tensor)}


def _numbers(state: TrainingState) -> dict[str, float]:
    """What an optimizer of the user's own remembers beside tensors, as "<parameter>/<what>"."""
    return {name: value for name, value in _remembered(state).items() if not isinstance(value, Tensor)}


def _remembered(state: TrainingState) -> dict[str, Tensor | float]:
    """All that the optimizer knows of its parameters, as "<parameter>/<what>"."""
    found: dict[str, Tensor | float] = {}
    for name, parameter in state.model.named_parameters():
        for what, value in state.optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor | bool | int | float):
                found[f"{name}/{what}"] = value
            elif value is not None:  # torch's SGD without momentum
                raise UserError(
                    f"optimizer: expected tensors and numbers in its state, which is saved, got {what}={brief(value)}"
                )
    return found


def _split(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        groups[group][rest] = tensor
    return groups


def _restore_optimizer(state: TrainingState, remembered: Mapping[str, Tensor | float]) -> None:
    """Put each value beside its parameter, tensors of its shape laid out in memory as it is.

    The layout matters for the last bit: vectorised loops round differently in their tails. AdamW's count of steps is a
    tensor too, which torch's fused kernels read on the parameter's device; without them torch leaves it on the CPU.
    """
    parameters, optimizer = dict(state.model.named_parameters()), state.optimizer
    is_fused = isinstance(optimizer, Optimizer) or any(map(optimizer.defaults.get, ("fused", "capturable")))
    for full_name, value in remembered.items():
        name, _, what = full_name.rpartition("/")
        parameter = parameters[name]
        if isinstance(value, Tensor) and value.ndim > 0 and value.shape == parameter.shape:
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        elif isinstance(value, Tensor) and is_fused:
            value = value.to(parameter.device)
        memory: dict[str, Any] = state.optimizer.state[parameter]
        memory[what] = value
