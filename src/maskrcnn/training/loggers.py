"""Where else the numbers of a run go: TensorBoard, Weights & Biases, MLflow, a table, or a logger of the user's own.

`LOGGERS` is the complete table; none of them is imported unless `train.loggers` names it. A logger that fails is left
out from then on, with one line: it never ends a training.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from maskrcnn.config import Config
from maskrcnn.files import write_atomically
from maskrcnn.settings import config_to_dict
from maskrcnn.structures.masks import ByteArray
from maskrcnn.text import one_line
from maskrcnn.training.folder import RunFolder

Say = Callable[[str], None]

LONGEST_REASON = 200
"""Characters of a logger's error."""


class Logger(Protocol):
    """Takes in what a run says of itself; may raise anything."""

    def record(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Finite numbers after a step: `kind` is "step" or "evaluation", names have slashes (losses/total)."""

    def picture(self, name: str, step: int, pixels: ByteArray) -> None:
        """(H, W, 3) uint8 RGB: what the model finds in an image of the val split."""

    def close(self, status: str) -> None:
        """The run has "finished", or it has "stopped" early."""


class TensorBoard:
    """Event files in RUN/tensorboard."""

    def __init__(self, folder: RunFolder, config: Config, start: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder.tensorboard), purge_step=start + 1)

    def record(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{kind}/{name}", value, step)

    def picture(self, name: str, step: int, pixels: ByteArray) -> None:
        self._writer.add_image(name, pixels, step, dataformats="HWC")

    def close(self, status: str) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases; its id lies in the run folder, so that a resumed run goes on in it."""

    def __init__(self, folder: RunFolder, config: Config, start: int) -> None:
        import wandb  # type: ignore[import-not-found,unused-ignore]

        file = folder.root / "wandb_id.txt"
        known = file.read_text().strip() if file.is_file() else None
        self._wandb: Any = wandb
        settings = config_to_dict(config)
        self._run = wandb.init(dir=str(folder.root), id=known, resume="allow", config=settings, name=folder.root.name)
        write_atomically(file, str(self._run.id))

    def record(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        self._run.log({f"{kind}/{name}": value for name, value in values.items()}, step=step)

    def picture(self, name: str, step: int, pixels: ByteArray) -> None:
        self._run.log({name: self._wandb.Image(pixels)}, step=step)

    def close(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == "finished" else 1)


class MLflow:
    """A run of MLflow, where `MLFLOW_TRACKING_URI` says, else beside the run; continued by its id."""

    MAX_PARAMS = 500
    LONGEST_PARAM = 500

    def __init__(self, folder: RunFolder, config: Config, start: int) -> None:
        import mlflow  # type: ignore[import-not-found,unused-ignore]

        file = folder.root / "mlflow_id.txt"
        known = file.read_text().strip() if file.is_file() else None
        self._mlflow: Any = mlflow
        self._run = mlflow.start_run(run_id=known, run_name=None if known else folder.root.name)
        write_atomically(file, str(self._run.info.run_id))
        if known is None:
            mlflow.log_params(dict(list(_settings(config, self.LONGEST_PARAM).items())[: self.MAX_PARAMS]))

    def record(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics({_plain(f"{kind}/{name}"): value for name, value in values.items()}, step=step)

    def picture(self, name: str, step: int, pixels: ByteArray) -> None:
        self._mlflow.log_image(pixels, f"{_plain(name)}_{step:08d}.png")

    def close(self, status: str) -> None:
        self._mlflow.end_run("FINISHED" if status == "finished" else "KILLED")


class Table:
    """RUN/steps.csv and RUN/evaluations.csv, a row for each."""

    def __init__(self, folder: RunFolder, config: Config, start: int) -> None:
        self._paths = {kind: folder.root / f"{kind}s.csv" for kind in ("step", "evaluation")}
        self._columns = {kind: _cut_table(path, start) for kind, path in self._paths.items()}

    def record(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        path, known = self._paths[kind], self._columns[kind]
        columns = list(dict.fromkeys(["step", *known, *values]))
        if columns != known:
            _write_rows(path, _rows(path), columns)
            self._columns[kind] = columns
        with path.open("a", newline="") as file:
            csv.DictWriter(file, columns, restval="").writerow({**values, "step": step})

    def picture(self, name: str, step: int, pixels: ByteArray) -> None:
        """Tables hold none."""

    def close(self, status: str) -> None:
        """Every row is on disk already."""


LOGGERS: dict[str, Callable[[RunFolder, Config, int], Logger]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
    "csv": Table,
}
"""By the name that `train.loggers` takes: made of the run's folder, its settings, and the step it goes on from."""


class Loggers:
    """All loggers of a run as one, which never fails.

    Args:
        folder: of the run.
        config: `train.loggers` names some.
        start: the step that the run goes on from.
        own: loggers of the user's.
        say: gets a line for each logger that fails.
    """

    def __init__(self, folder: RunFolder, config: Config, start: int, own: Sequence[Logger], say: Say) -> None:
        self._say = say
        self._loggers: dict[str, Logger] = {}
        for name in config.train.loggers:
            try:
                self._loggers[name] = LOGGERS[name](folder, config, start)
            except ImportError:
                say(f"{name} is not installed, so log.jsonl alone is written (pip install {name})")
            except Exception as error:
                self._left_out(name, error)
        self._loggers |= {f"{type(logger).__name__} ({number})": logger for number, logger in enumerate(own, start=1)}

    def record(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Pass on the numbers among nested values."""
        flat = {name: value for name, value in flatten(values).items() if math.isfinite(value)}
        self._each(lambda logger: logger.record(kind, step, flat))

    def picture(self, name: str, step: int, pixels: ByteArray) -> None:
        """Pass on a picture."""
        self._each(lambda logger: logger.picture(name, step, pixels))

    def close(self, status: str) -> None:
        """The run is over."""
        self._each(lambda logger: logger.close(status))

    def _each(self, call: Callable[[Logger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            try:
                call(logger)
            except Exception as error:
                del self._loggers[name]
                self._left_out(name, error)

    def _left_out(self, name: str, error: Exception) -> None:
        reason = one_line(f"{type(error).__name__}: {error}", LONGEST_REASON)
        self._say(f"logger {name} is left out from now on, since it failed: {reason}")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Nested numbers with their path as name; what is not a number is left out."""
    flat: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            flat[prefix + name] = value
    return flat


def _settings(config: Config, longest: int) -> dict[str, str]:
    """All settings by their full names."""
    sections = config_to_dict(config).items()
    return {f"{section}.{name}": str(value)[:longest] for section, values in sections for name, value in values.items()}


def _plain(name: str) -> str:
    """A name of letters, digits and what MLflow takes besides."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _cut_table(path: Path, start: int) -> list[str]:
    """Drop the rows after the step that the run goes on from; the columns that are left."""
    rows = _rows(path)
    columns = list(rows[0]) if rows else []
    if rows:
        _write_rows(path, [row for row in rows if int(row["step"]) <= start], columns)
    return columns


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    def fill(partial: Path) -> None:
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)

    write_atomically(path, fill)
