"""Going on with a run that was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.settings import config_from_dict, differing_settings
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.state import SavedState, TrainingState, read_newest_state, restore

_HARMLESS = frozenset(
    {
        "data.root",  # the same data may have moved; its fingerprint is compared instead
        "data.images",
        "data.train_annotations",
        "data.val_annotations",
        "data.num_workers",
        "train.log_every",
        "train.evaluate_every",
        "train.checkpoint_every",
        "train.max_nonfinite_steps",
        "evaluation.max_detections",
    }
)
"""Settings that a resumed run may change, since the weights do not depend on them."""


def resume_run(
    folder: RunFolder, state: TrainingState, config: Config, data: dict[str, Any], say: Callable[[str], None]
) -> None:
    """Make the fresh `state` that of the run in `folder`; leave it as it is when there is none yet.

    Args:
        folder: of the run.
        state: built from `config`.
        config: the settings now.
        data: the fingerprint of the training data now.
        say: gets a line on what was done.

    Raises:
        UserError: the settings or the data are not those of the run, or no saved state is readable.
    """
    saved = read_newest_state(folder.states, say)
    if saved is None:
        say(f"{folder.root}: no training state yet, starting anew")
        return
    _check_settings(saved, config)
    _check_data(saved, data)
    restore(state, saved)
    say(f"{saved.path}: going on after step {state.step}")


def _check_settings(saved: SavedState, config: Config) -> None:
    differing = set(differing_settings(config_from_dict(saved.header["config"]), config)) - _HARMLESS
    if differing:
        raise _refusal(saved.path, f"these settings differ from the run's: {', '.join(sorted(differing))}")


def _check_data(saved: SavedState, data: dict[str, Any]) -> None:
    differing = [name for name in data if saved.header["data"].get(name) != data[name]]
    if differing:
        raise _refusal(saved.path, f"the training data is not the run's: other {', '.join(differing)}")


def _refusal(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: cannot resume, since {reason}; restore what was, or train into a new directory")
