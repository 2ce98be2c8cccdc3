"""Loggers get the numbers of a run, and end nothing."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from maskrcnn.config import Config, TrainConfig
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.loggers import Loggers

ENTRY = {"step": 4, "losses": {"total": 0.5, "mask": math.nan}, "learning_rate": 0.1, "name": "x"}


class Own:
    def __init__(self, fails: bool = False) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fails = fails

    def record(self, *values: Any) -> None:
        self.calls.append(values)
        if self.fails:
            raise RuntimeError("no network\n" * 100)

    def picture(self, *values: Any) -> None:
        self.calls.append(values)

    def close(self, status: str) -> None:
        self.calls.append((status,))


def run(folder: Path, *names: str, own: list[Any] | None = None, start: int = 0) -> tuple[Loggers, list[str]]:
    said: list[str] = []
    config = Config(train=TrainConfig(loggers=names))  # type: ignore[arg-type]
    return Loggers(RunFolder(folder), config, start, own or [], said.append), said


def test_numbers_arrive_flat_and_finite(tmp_path: Path) -> None:
    logger = Own()
    loggers, said = run(tmp_path, own=[logger])
    loggers.record("step", 4, ENTRY)
    loggers.picture("a.png", 4, np.zeros((2, 2, 3), np.uint8))
    loggers.close("finished")
    assert logger.calls[0] == ("step", 4, {"losses/total": 0.5, "learning_rate": 0.1})
    assert logger.calls[1][:2] == ("a.png", 4) and logger.calls[2] == ("finished",) and not said


def test_a_logger_that_fails_is_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    bad, good = Own(fails=True), Own()
    loggers, said = run(tmp_path, own=[bad, good])
    for step in (1, 2):
        loggers.record("step", step, ENTRY)
    loggers.close("finished")
    assert len(bad.calls) == 1 and len(good.calls) == 3
    assert len(said) == 1 and "Own (1) is left out" in said[0] and "\n" not in said[0] and len(said[0]) < 400


def test_one_that_is_not_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    _, said = run(tmp_path, "wandb")
    assert said == ["wandb is not installed, so log.jsonl alone is written (pip install wandb)"]


def test_one_that_cannot_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ModuleType("mlflow")
    broken.start_run = lambda **_: 1 / 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", broken)
    _, said = run(tmp_path, "mlflow")
    assert len(said) == 1 and "mlflow is left out" in said[0]


def test_weights_and_biases_goes_on_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    fake = ModuleType("wandb")

    def init(**options: Any) -> Any:
        calls.append(("init", options["id"], options["resume"], options["config"]["train"]["batch_size"]))
        log = lambda values, step: calls.append((step, values))  # noqa: E731
        return SimpleNamespace(id="abc", log=log, finish=lambda exit_code: calls.append(("finish", exit_code)))

    fake.init, fake.Image = init, lambda pixels: pixels.shape  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for status in ("stopped", "finished"):
        loggers, said = run(tmp_path, "wandb")
        loggers.record("step", 4, ENTRY)
        loggers.picture("a", 4, np.zeros((2, 3, 3), np.uint8))
        loggers.close(status)
    numbers = (4, {"step/losses/total": 0.5, "step/learning_rate": 0.1})
    assert not said and calls[:4] == [("init", None, "allow", 2), numbers, (4, {"a": (2, 3, 3)}), ("finish", 1)]
    assert calls[4] == ("init", "abc", "allow", 2) and calls[-1] == ("finish", 0)


def test_mlflow_gets_names_it_takes_and_bounded_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, Any] = {}
    fake = ModuleType("mlflow")
    fake.start_run = lambda **options: SimpleNamespace(info=SimpleNamespace(run_id="r"), **options)  # type: ignore
    for name in ("log_params", "log_metrics", "log_image", "end_run"):
        setattr(fake, name, lambda *values, _name=name, **options: calls.update({_name: values}))
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    loggers, said = run(tmp_path, "mlflow")
    loggers.record("evaluation", 4, {"metrics": {"mask": {"AP[0]": 0.5}}})
    loggers.close("finished")
    assert not said and calls["log_metrics"] == ({"evaluation/metrics/mask/AP_0_": 0.5},)
    assert calls["log_params"][0]["train.batch_size"] == "2" and calls["end_run"] == ("FINISHED",)
    assert max(map(len, calls["log_params"][0].values())) <= 500


def test_a_table_has_a_row_for_each_and_goes_back_with_the_run(tmp_path: Path) -> None:
    loggers, _ = run(tmp_path, "csv")
    for step in (1, 2):
        loggers.record("step", step, ENTRY)
    loggers.record("step", 3, ENTRY | {"new": 7})
    loggers, _ = run(tmp_path, "csv", start=2)
    loggers.record("step", 3, ENTRY | {"new": 8})
    with (tmp_path / "steps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["losses/total"], row["new"]) for row in rows] == [
        ("1", "0.5", ""),
        ("2", "0.5", ""),
        ("3", "0.5", "8.0" if "." in rows[-1]["new"] else "8"),
    ]
