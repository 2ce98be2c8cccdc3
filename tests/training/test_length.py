from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maskrcnn.config import Config, ScheduleConfig
from maskrcnn.errors import UserError
from maskrcnn.settings import config_from_dict, read_settings
from maskrcnn.training import length, loop
from maskrcnn.training.loop import train
from maskrcnn.weights.tensor_file import read_tensors


def settled(output: Path) -> Config:
    """What a run's settings say of its length."""
    return config_from_dict(read_settings(output / "config.yaml"), "config.yaml")


def test_passes_over_the_images(config: Config, tmp_path: Path) -> None:
    """Three passes over 4 images, 2 a step: 6 steps, of which a tenth at most warms up."""
    wanted = replace(config, schedule=replace(config.schedule, epochs=3.0, steps=999))
    assert train(wanted, tmp_path / "run", device="cpu").steps == 6
    own = settled(tmp_path / "run")
    assert (own.schedule.steps, own.schedule.epochs, own.schedule.warmup_steps) == (6, 0, 0)
    assert own.train.evaluate_every == 1
    assert train(own, tmp_path / "run", device="cpu", resume=True).steps == 6


def test_evaluations_on_the_way_are_a_matter_of_course(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One pass over 4 images, 1 a step: after each step."""
    monkeypatch.setattr(loop, "validate", lambda *arguments, **options: ({"mask": {}}, 0.1))
    root = Path(config.data.root)
    shutil.copy(root / "instances_train.json", root / "instances_val.json")
    wanted = replace(config, schedule=replace(config.schedule, epochs=1.0), train=replace(config.train, batch_size=1))
    train(wanted, tmp_path / "run", device="cpu")
    assert settled(tmp_path / "run").train.evaluate_every == 1
    assert "train.evaluate_every" not in capfd.readouterr().err


def test_minutes(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 1.5 s a step, 0.1 minutes are four steps; that they were timed leaves no trace in what is learned."""
    measured: list[float] = []

    def seconds(*arguments: object) -> float:
        measured.append(real(*arguments))  # type: ignore[arg-type]
        return 1.5

    real = length.seconds_per_step
    monkeypatch.setattr(length, "seconds_per_step", seconds)
    wanted = replace(config, schedule=replace(config.schedule, minutes=0.1))
    assert train(wanted, tmp_path / "timed", device="cpu").steps == 4 and measured[0] > 0
    assert re.search(r"1\.50 s a step, so 4 steps in 0\.1 minutes, evaluations apart; \d+ MiB", capsys.readouterr().err)
    own = settled(tmp_path / "timed")
    assert (own.schedule.steps, own.schedule.minutes) == (4, 0)
    train(own, tmp_path / "plain", device="cpu")
    assert len(measured) == 1
    (timed, timed_facts), (plain, plain_facts) = (
        read_tensors(tmp_path / name / "last.safetensors") for name in ("timed", "plain")
    )
    assert timed_facts == plain_facts and all(torch.equal(timed[name], plain[name]) for name in plain)


@pytest.mark.parametrize(("free", "expected"), [(None, 4), (0, 4), (1 << 40, 4)])
def test_a_batch_is_no_larger_than_the_data(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int | None, expected: int
) -> None:
    monkeypatch.setattr(length, "free_bytes", lambda: free)
    wanted = replace(config, train=replace(config.train, batch_memory=0.6), schedule=ScheduleConfig(steps=1))
    train(wanted, tmp_path / "run", device="cpu")
    own = settled(tmp_path / "run").train
    assert (own.batch_size, own.batch_memory) == (expected, 0)


@pytest.mark.parametrize(("each", "free", "expected"), [(100, 750, 11), (100, 99, 4), (1, 10**6, 16), (0, 10**6, 4)])
def test_what_fits_beside_the_four_images_tried(each: int, free: int, expected: int) -> None:
    """Of 750 MiB seven more of 100 each; where the steps' memory did not show, no more than was tried."""
    assert length.fitting_batch(each, free) == expected


def test_images_on_a_gpu_take_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(length, "free_bytes", lambda: 64 << 30)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (6 << 30, 8 << 30))
    assert length._free_bytes(torch.device("cuda", 0)) == 6 << 30
    assert length._free_bytes(torch.device("cpu")) == 64 << 30


@pytest.mark.parametrize(("passes", "steps"), [(1.0, 2), (3.0, 6)])
def test_a_run_goes_on_for_another_number_of_passes(
    config: Config, tmp_path: Path, passes: float, steps: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two passes over 4 images, 2 a step, are 4 steps; the warm-up stays as it was."""
    wanted = replace(config, schedule=replace(config.schedule, epochs=2.0))
    train(wanted, tmp_path / "run", device="cpu", resume=True)  # there is nothing to resume yet
    own = settled(tmp_path / "run")
    assert own.schedule.steps == 4
    train(replace(own, schedule=replace(own.schedule, epochs=passes)), tmp_path / "run", device="cpu", resume=True)
    assert settled(tmp_path / "run") == replace(own, schedule=replace(own.schedule, steps=steps))
    assert f"schedule.steps: {steps} instead of 4" in capfd.readouterr().err


def test_what_is_measured_is_settled_when_a_run_begins(config: Config, tmp_path: Path) -> None:
    train(replace(config, schedule=replace(config.schedule, steps=1)), tmp_path / "run", device="cpu")
    for changed in (
        replace(config, schedule=replace(config.schedule, minutes=1.0)),
        replace(config, train=replace(config.train, batch_memory=0.5)),
    ):
        with pytest.raises(UserError, match=r"expected 0 with --resume.*--set schedule\.steps=N, or --epochs N"):
            train(changed, tmp_path / "run", device="cpu", resume=True)
    with pytest.raises(UserError, match=r"schedule\.minutes: expected 0 where schedule\.epochs is given"):
        ScheduleConfig(epochs=1, minutes=1)
