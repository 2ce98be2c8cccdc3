"""The output directory of a training run.

config.yaml              the settings of the run; `--config` reads them back
split/                   COCO files of the images to learn from and to measure on, where the labels name none
log.jsonl                one JSON object per logged step ("kind": "step") and per evaluation
best.safetensors         the model with the best validation score so far
last.safetensors         the model at the last checkpoint or interruption, and at the end
state/step-*.safetensors the last two training states, for `--resume`
state/pictures.safetensors checksums of the pictures that training has read
index.html               how the run goes, to be left open in a browser; pictures/ belongs to it
evaluation/              metrics and predictions of the newest evaluation; report.html of the one at the end
tensorboard/             the same numbers for TensorBoard, when it is installed
.lock                    held while a process trains; empty, and harmless afterwards
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.files import sole_writer, write_atomically
from maskrcnn.settings import write_yaml
from maskrcnn.training.state import saved_states

PATIENCE = 10.0
"""Seconds: the readers of a run that was killed hold its lock until they notice, which takes them up to 5."""


@dataclass(frozen=True)
class RunFolder:
    """Where everything of a run lies."""

    root: Path

    @property
    def states(self) -> Path:
        """Training states."""
        return self.root / "state"

    @property
    def pictures(self) -> Path:
        """What training has read of the pictures."""
        return self.states / "pictures.safetensors"

    @property
    def best(self) -> Path:
        """The best model so far."""
        return self.root / "best.safetensors"

    @property
    def last(self) -> Path:
        """The newest model, in the end the final one."""
        return self.root / "last.safetensors"

    @property
    def log(self) -> Path:
        """The JSONL log."""
        return self.root / "log.jsonl"

    @property
    def settings(self) -> Path:
        """The run's settings."""
        return self.root / "config.yaml"

    @property
    def has_state(self) -> bool:
        """Whether the run has saved weights to go on with."""
        return bool(saved_states(self.states))

    @property
    def split(self) -> Path:
        """Which images are for what, where the labels do not say it."""
        return self.root / "split"

    @property
    def evaluation(self) -> Path:
        """What the evaluation writes."""
        return self.root / "evaluation"

    @property
    def page(self) -> Path:
        """What one looks at while it trains."""
        return self.root / "index.html"

    @property
    def watched(self) -> Path:
        """The same images at each evaluation."""
        return self.root / "pictures"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.root / "tensorboard"

    def locked(self) -> AbstractContextManager[None]:
        """While entered, no other process can train in this folder. Raises as `sole_writer`."""
        return sole_writer(self.root, "training in", PATIENCE)

    def claim(self, config: Config, *, resume: bool) -> None:
        """Check that the folder is free (or to be resumed) and writable, by writing `config.yaml`.

        Raises:
            UserError: a run is there already, or the folder cannot be written.
        """
        if not resume and (self.settings.exists() or self.has_state):
            raise UserError(
                f"{self.root}: expected a new or empty output directory, but there is a run in it; "
                "continue it with --resume or choose another --output"
            )
        write_atomically(self.settings, write_yaml(config))
