"""Early stopping, the comparison with the start, and learning by heart: whole runs, with made-up scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from maskrcnn.config import Config
from maskrcnn.training import loop
from maskrcnn.training.loop import train
from maskrcnn.training.state import read_newest_state
from maskrcnn.weights import load_model


@pytest.fixture
def measured(config: Config) -> Config:
    """With a val split, evaluated after each step."""
    data = replace(config.data, val_annotations="instances_train.json")
    return replace(config, data=data, train=replace(config.train, evaluate_every=1))


def give(monkeypatch: pytest.MonkeyPatch, scores: Sequence[float | None]) -> list[bool]:
    """Let evaluations have these scores; returns of each whether it wrote the report."""
    rest, reports = iter(scores), []

    def validate(*_: object, report: bool, **__: object) -> tuple[dict[str, object], float | None]:
        reports.append(report)
        return {}, next(rest)

    monkeypatch.setattr(loop, "validate", validate)
    return reports


def test_training_ends_when_nothing_is_gained(
    measured: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gains of less than 0.01 do not count; the last evaluation is once more that of the last step, and no further."""
    patient = replace(measured, train=replace(measured.train, patience=2, min_gain=0.01))
    reports = give(monkeypatch, [0.1, 0.3, 0.305, 0.3, 0.3, None])
    result = train(patient, tmp_path / "run", device="cpu")
    assert result.steps == 4 and result.best_score == 0.305
    assert reports == [False] * 4 + [True]
    assert "ended early, after step 4: 2 evaluations in a row without a gain of 0.01" in capsys.readouterr().err
    give(monkeypatch, [0.9])
    assert train(patient, tmp_path / "run", device="cpu", resume=True).steps == 4, "and it is not revived"


def test_without_patience_it_goes_on(measured: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, [0.1] * 8)
    assert train(measured, tmp_path / "run", device="cpu").steps == 7


def test_evaluations_without_a_score_say_nothing(
    measured: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a val split without objects, where no AP is defined."""
    give(monkeypatch, [None] * 8)
    impatient = replace(measured, train=replace(measured.train, patience=1))
    assert train(impatient, tmp_path / "run", device="cpu").steps == 7


def test_what_is_stale_survives_an_interruption(
    measured: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = replace(measured, train=replace(measured.train, patience=3))
    give(monkeypatch, [0.5, 0.4, 0.4])
    short = replace(patient, schedule=replace(patient.schedule, steps=3))
    train(short, tmp_path / "run", device="cpu")
    saved = read_newest_state(tmp_path / "run" / "state", print)
    assert saved is not None and saved.header["stale"] == 2 and saved.header["gain_score"] == 0.5
    give(monkeypatch, [0.4, 0.4])
    assert train(patient, tmp_path / "run", device="cpu", resume=True).steps == 4


def test_the_best_model_is_kept_when_a_finished_run_is_made_longer(
    measured: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is that of the last step, which was measured when the run had ended."""
    at_the_end = replace(measured, train=replace(measured.train, evaluate_every=0))
    give(monkeypatch, [0.9])
    train(replace(at_the_end, schedule=replace(measured.schedule, steps=2)), tmp_path / "run", device="cpu")
    give(monkeypatch, [0.1])
    longer = replace(at_the_end, schedule=replace(measured.schedule, steps=3))
    result = train(longer, tmp_path / "run", device="cpu", resume=True)
    assert (result.steps, result.best_score, load_model(result.best).summary["steps"]) == (3, 0.9, 2)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([0.5, 0.6], "score 0.5000 at the start, 0.6000 after step 1 (+0.1000)"),
        ([0.5, 0.4], "score 0.5000 at the start, and none better since: the best model is the start itself"),
    ],
)
def test_the_start_is_measured_and_kept_unless_training_gains(
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scores: list[float],
    said: str,
) -> None:
    data = replace(config.data, val_annotations="instances_train.json")
    one = replace(config, data=data, schedule=replace(config.schedule, steps=1))
    give(monkeypatch, [0.2])
    start = train(one, tmp_path / "start", device="cpu").last
    give(monkeypatch, scores)
    again = replace(one, train=replace(one.train, evaluate_start=True))
    result = train(again, tmp_path / "run", device="cpu", init=str(start))
    assert said in capsys.readouterr().err and result.best_score == max(scores)
    give(monkeypatch, [0.3])  # other classes: nothing to compare with
    monkeypatch.setattr("maskrcnn.training.initial.Initial.knows", lambda *_: False)
    train(again, tmp_path / "other", device="cpu", init=str(start))
    assert "at the start" not in capsys.readouterr().err


def test_the_start_is_measured_although_the_first_step_is_cut_off(
    measured: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resuming is not told of the weights that the run began with, which knew the classes."""
    once = replace(measured, schedule=replace(measured.schedule, steps=1))
    give(monkeypatch, [0.2])
    start = train(once, tmp_path / "start", device="cpu").last
    once = replace(once, train=replace(once.train, evaluate_start=True))
    with monkeypatch.context() as cut_off, pytest.raises(KeyboardInterrupt):
        give(cut_off, [0.5])
        cut_off.setattr(loop, "advance", interrupt)
        train(once, tmp_path / "run", device="cpu", init=str(start))
    give(monkeypatch, [0.5, 0.4])
    result = train(once, tmp_path / "run", device="cpu", resume=True)
    assert (result.steps, result.best_score, load_model(result.best).summary["steps"]) == (1, 0.5, 0)


def interrupt(*_: object) -> None:
    """Stands for the process ending there and then."""
    raise KeyboardInterrupt


def test_learning_a_few_images_by_heart(config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = replace(config, train=replace(config.train, overfit=3), schedule=replace(config.schedule, steps=1))
    train(few, tmp_path / "run", device="cpu")
    err = capsys.readouterr().err
    assert "learning 3 images by heart, unchanged, and measuring on them" in err
    assert "train.overfit: AP50 0.000 on the 3 images, expected above 0.95: train for longer" in err


@pytest.mark.parametrize(("warmup", "is_said"), [(14, True), (7, False), (0, False)])
def test_a_training_that_ends_within_its_warm_up_says_so(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str], warmup: int, is_said: bool
) -> None:
    """Of seven steps the last has 6 / 14 of the full rate."""
    schedule = replace(config.schedule, steps=7, warmup_steps=warmup, warmup_factor=0.0, milestones=(), name="step")
    train(replace(config, schedule=schedule), tmp_path / "run", device="cpu")
    line = "ended within the warm-up of 14 steps: the learning rate was 0.43 of optimizer.lr at most; for so few steps"
    assert (line in capsys.readouterr().err) == is_said
