from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from maskrcnn.config import Config, ScheduleConfig, TrainConfig
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.optimizer import SGD
from maskrcnn.training.progress import Screen, TrainingLog, describe, memory_mib
from maskrcnn.training.state import TrainingState
from maskrcnn.training.step import StepReport

REPORT = StepReport({"box": 0.5, "mask": 0.25, "total": 0.75}, gradient_norm=2.0, complaint="", num_images=4)
CONFIG = Config(schedule=ScheduleConfig(steps=10), train=TrainConfig(log_every=4))


def log_to(folder: Path, step: int = 0) -> TrainingLog:
    model: Any = nn.Linear(1, 1)
    state = TrainingState(model, SGD([], lr=0.1, momentum=0.9), None, step)
    return TrainingLog(RunFolder(folder), Screen(), CONFIG, state)


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_steps_and_evaluations_are_recorded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with log_to(tmp_path) as log:
        for step in range(1, 11):
            log.step(step, 0.01, REPORT)
            if step == 8:
                log.evaluation(8, {"mask": {"AP": 0.5, "APl": float("nan")}}, 0.5)
    got = entries(tmp_path)
    assert [(entry["kind"], entry["step"]) for entry in got] == [
        ("step", 1),
        ("step", 4),
        ("step", 8),
        ("evaluation", 8),
        ("step", 10),
    ]
    assert got[0]["losses"] == {"box": 0.5, "mask": 0.25, "total": 0.75} and got[0]["gradient_norm"] == 2.0
    assert got[3]["score"] == 0.5 and got[3]["metrics"]["mask"] == {"AP": 0.5, "APl": None}
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("step")]
    assert len(lines) == 5 and lines[0].startswith("step 1/10  loss 0.750 (box 0.500  mask 0.250)")


def test_the_log_of_a_cut_off_run_goes_back_to_the_saved_step(tmp_path: Path) -> None:
    lines = [json.dumps({"kind": "step", "step": step}) for step in (1, 4, 8)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"kind": "step", "st')
    with log_to(tmp_path, step=4) as log:
        log.step(8, 0.01, REPORT)
    assert [entry["step"] for entry in entries(tmp_path)] == [1, 4, 8]
    assert "losses" in entries(tmp_path)[-1]


def test_a_description_reads_well() -> None:
    entry = {
        "losses": {"box": 0.5, "total": 0.5},
        "learning_rate": 0.001,
        "images_per_second": 12.34,
        "seconds_left": 3661,
        "memory_mib": 700,
    }
    assert describe(entry) == "loss 0.500 (box 0.500)  lr 1.00e-03  12.3 images/s  1:01:01 left  700 MiB"


def test_without_tensorboard_a_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # what an import of it then finds
    with log_to(tmp_path) as log:
        log.step(1, 0.01, REPORT)
    assert "pip install tensorboard" in capfd.readouterr().err
    assert not (tmp_path / "tensorboard").exists()


def test_with_tensorboard_the_numbers_arrive(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with log_to(tmp_path) as log:
        log.step(1, 0.01, REPORT)
    events = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Scalars("step/losses/mask")[0].value == 0.25
    assert events.Scalars("step/learning_rate")[0].step == 1


def test_memory_is_that_of_this_process() -> None:
    assert 50 < memory_mib(torch.device("cpu")) < 100_000


_OF_A_LARGE_PARENT = """
import subprocess, sys
held = b"1" * (1 << 30)
child = "import torch; from maskrcnn.training.progress import memory_mib; print(memory_mib(torch.device('cpu')))"
print(subprocess.check_output([sys.executable, "-c", child], text=True))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's report on a process's memory")
def test_memory_is_not_that_of_the_program_that_started_this_one() -> None:
    """Whose peak `getrusage` hands on, so that no image would seem to take any."""
    assert int(subprocess.check_output([sys.executable, "-c", _OF_A_LARGE_PARENT], text=True)) < 900


def test_a_terminal_gets_a_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with log_to(tmp_path) as log:
        for step in range(1, 11):
            log.step(step, 0.01, REPORT)
    shown = capfd.readouterr().err
    assert "10/10" in shown and "images/s" in shown and "loss 0.750" in shown
