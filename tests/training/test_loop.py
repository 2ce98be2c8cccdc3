"""Whole runs of the tiny model."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.losses import Losses
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.settings import parse_assignments, read_settings, update_config
from maskrcnn.training import loop
from maskrcnn.training.folder import RunFolder
from maskrcnn.training.loop import train
from maskrcnn.training.optimizer import AdamW
from maskrcnn.training.schedule import learning_rate_factor
from maskrcnn.training.state import saved_states
from maskrcnn.weights import load_model
from maskrcnn.weights.tensor_file import read_tensors, write_tensors


class Crash(BaseException):
    """Stands for the process ending there and then."""


def change(config: Config, *assignments: str) -> Config:
    return update_config(config, parse_assignments(assignments), "test")


def run(config: Config, output: Path, **options: Any) -> bytes:
    """Train on the CPU; return the final model file."""
    return train(config, output, device="cpu", **options).last.read_bytes()


@pytest.fixture
def unbroken(finished_run: Path, tmp_path: Path) -> bytes:
    """The final model file of a run that lies in "unbroken"."""
    shutil.copytree(finished_run, tmp_path / "unbroken")
    return (tmp_path / "unbroken" / "last.safetensors").read_bytes()


@pytest.fixture
def break_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the process "end" while step number `step` (counted from 1) computes its loss."""

    def arm(step: int) -> None:
        calls = 0
        real = MaskRCNN.loss

        def broken_loss(self: MaskRCNN, *arguments: Any, **options: Any) -> Losses:
            nonlocal calls
            calls += 1
            if calls == step:
                monkeypatch.setattr(MaskRCNN, "loss", real)
                raise Crash
            return real(self, *arguments, **options)

        monkeypatch.setattr(MaskRCNN, "loss", broken_loss)

    return arm


def test_the_output_directory(config: Config, tmp_path: Path) -> None:
    result = train(config, tmp_path / "run", device="cpu")
    names = sorted(p.name for p in (tmp_path / "run").iterdir() if p.name != "tensorboard")
    assert names == [".lock", "config.yaml", "index.html", "last.safetensors", "log.jsonl", "state"]
    assert [p.stem for p in saved_states(tmp_path / "run" / "state")] == ["step-00000007", "step-00000006"]
    assert (result.steps, result.metrics, result.best_score) == (7, {}, None)
    loaded = load_model(result.best)
    assert replace(loaded.config, data=config.data) == config and loaded.categories.names == ("dim", "bright")
    assert loaded.summary["steps"] == 7 and loaded.summary["score_threshold"] is None
    assert loaded.summary["object_sizes"].keys() == {"0.05", "0.25", "0.5", "0.75", "0.95"}


def test_a_name_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train: expected settings, such as preset\('small'\), got 'nuclei'"):
        train("nuclei", tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="train: expected settings"):
        train("nuclei")  # type: ignore[arg-type]


def test_no_output_is_one_line(config: Config) -> None:
    with pytest.raises(UserError, match="train: expected a directory for the results as `output`, got none"):
        train(config)


def test_the_log(config: Config, tmp_path: Path) -> None:
    train(change(config, "train.log_every=3"), tmp_path / "run", device="cpu")
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [1, 3, 6, 7]
    last = entries[-1]
    assert last["losses"].keys() == {"objectness", "rpn_box", "classification", "box", "mask", "total"}
    assert last["images_per_second"] > 0 and last["seconds_left"] == 0 and last["memory_mib"] > 10
    # warm-up from 1e-3 over two steps, times the cosine, times 1e-3 * 2 / 4
    assert entries[0]["learning_rate"] == pytest.approx(5e-7)
    assert entries[1]["learning_rate"] == pytest.approx(5e-4 * 0.8117449)


def test_losses_fall(config: Config, tmp_path: Path) -> None:
    train(change(config, "schedule.steps=20", "train.checkpoint_every=20"), tmp_path / "run", device="cpu")
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["losses"] for line in lines]
    assert losses[-1]["objectness"] < 0.7 * losses[0]["objectness"]
    assert losses[-1]["classification"] < 0.8 * losses[0]["classification"]


def test_bf16_autocast_trains(config: Config, tmp_path: Path) -> None:
    result = train(change(config, "train.amp=true", "schedule.steps=2"), tmp_path / "run", device="cpu")
    weights = load_model(result.last).model.state_dict().values()
    assert all(tensor.isfinite().all() and tensor.dtype != torch.bfloat16 for tensor in weights)


@pytest.mark.parametrize("step", [1, 2, 5, 7])
def test_a_resumed_run_ends_in_the_same_bits(
    config: Config, tmp_path: Path, unbroken: bytes, break_at: Callable[[int], None], step: int
) -> None:
    config = change(config, "train.checkpoint_every=3")
    break_at(step)
    with pytest.raises(Crash):
        run(config, tmp_path / "broken")
    resumed = run(config, tmp_path / "broken", resume=True)
    assert weights_of(resumed, tmp_path) == weights_of(unbroken, tmp_path)
    steps = [json.loads(line)["step"] for line in (tmp_path / "broken" / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5, 6, 7]


def weights_of(content: bytes, folder: Path) -> dict[str, bytes]:
    (folder / "look.safetensors").write_bytes(content)
    model = load_model(folder / "look.safetensors").model
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def test_a_run_that_is_cut_off_in_its_first_step_keeps_the_weights_it_began_with(
    config: Config, tmp_path: Path, finished_run: Path, break_at: Callable[[int], None]
) -> None:
    """`--resume` does not name them again."""
    config, start = change(config, "train.checkpoint_every=3", "schedule.steps=2"), str(finished_run)
    unbroken = run(config, tmp_path / "unbroken", init=start)
    break_at(1)
    with pytest.raises(Crash):
        run(config, tmp_path / "broken", init=start)
    resumed = run(config, tmp_path / "broken", resume=True)
    assert weights_of(resumed, tmp_path) == weights_of(unbroken, tmp_path)


def test_workers_accumulation_and_sgd_change_nothing_about_resuming(
    config: Config, tmp_path: Path, break_at: Callable[[int], None]
) -> None:
    config = change(config, "train.accumulate=2", "optimizer.name=sgd", "train.ema_decay=0", "schedule.steps=4")
    unbroken = run(config, tmp_path / "unbroken")
    config = change(config, "data.num_workers=2")
    break_at(6)  # in the second pass of step 3
    with pytest.raises(Crash):
        run(config, tmp_path / "broken")
    assert weights_of(run(config, tmp_path / "broken", resume=True), tmp_path) == weights_of(unbroken, tmp_path)


CRAFT = {
    "copy-paste": ("augment.copy_paste=1", "augment.crop_size=48", "data.balance_by=film", "data.num_workers=1"),
    "large-scale jitter": ("augment.scale_range=[0.1,2.0]", "augment.crop_size=64", "augment.pad_crops=true"),
    "repeat factors": ("data.repeat_threshold=1",),
    "rates by layer": ("optimizer.layer_decay=0.5",),
    "average of the weights": ("train.ema_decay=0.5",),
    "early stopping": ("train.patience=1", "train.evaluate_every=1"),
}


@pytest.fixture
def without_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model has the same score."""
    monkeypatch.setattr(loop, "validate", lambda network, *arguments, **options: ({"mask": {}}, 0.1))


@pytest.fixture(scope="module")
def plain(uneven: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The weights without any of these."""
    folder = tmp_path_factory.mktemp("plain")
    uneven = replace(uneven, data=replace(uneven.data, val_annotations=""))
    return weights_of(run(uneven, folder / "run"), folder)


@pytest.mark.parametrize("name", CRAFT)
@pytest.mark.usefixtures("without_evaluation")
def test_each_means_of_craft_resumes_in_the_same_bits(
    uneven: Config, plain: dict[str, bytes], tmp_path: Path, break_at: Callable[[int], None], name: str
) -> None:
    """In the middle of a pass over the images."""
    config = change(uneven, *CRAFT[name])
    unbroken = weights_of(run(config, tmp_path / "unbroken"), tmp_path)
    assert unbroken != plain, "it is in use"
    break_at(2)
    with pytest.raises(Crash):
        run(config, tmp_path / "broken")
    assert weights_of(run(config, tmp_path / "broken", resume=True), tmp_path) == unbroken
    for folder in ("unbroken", "broken"):
        steps = load_model(tmp_path / folder / "last.safetensors").summary["steps"]
        assert steps == (2 if name == "early stopping" else 3)


def add_val_split(config: Config) -> None:
    root = Path(config.data.root)
    shutil.copy(root / "instances_train.json", root / "instances_val.json")


FEW = "box_head.max_detections=3"
"""A model that has learned nothing finds a hundred objects in every image, which all take part in the evaluation."""


def test_evaluation_keeps_the_best_model(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unbroken: bytes
) -> None:
    add_val_split(config)
    scores = iter([0.2, 0.4, 0.3])
    reports = []
    real = loop.validate

    def validate(network: MaskRCNN, *arguments: Any, **options: Any) -> tuple[dict[str, Any], float]:
        metrics, score = real(network, *arguments, **options)
        assert score is not None and score >= 0 and not network.training
        reports.append((tmp_path / "run" / "evaluation" / "report.html").exists())
        return metrics, next(scores)

    monkeypatch.setattr(loop, "validate", validate)
    result = train(change(config, FEW, "train.evaluate_every=3"), tmp_path / "run", device="cpu")
    assert result.best_score == 0.4 and result.best == tmp_path / "run" / "best.safetensors"
    assert reports == [False, False, True]
    assert load_model(result.best).summary["steps"] == 6
    assert load_model(result.last).summary["steps"] == 7
    assert result.metrics["mask"].keys() >= {"AP", "AP50"} and "box" in result.metrics
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["score"]) for line in lines if line["kind"] == "evaluation"] == [
        (3, 0.2),
        (6, 0.4),
        (7, 0.3),
    ]
    # looking at the model does not change it
    assert weights_of(result.last.read_bytes(), tmp_path) == weights_of(unbroken, tmp_path)


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([0.4, 0.4, 0.3], (0.4, 2)),
        ([0.0, 0.0, 0.0], (0.0, 3)),
        ([None, 0.2, None], (0.2, 2)),
        ([None, None, None], (None, 3)),
    ],
)
def test_of_equal_models_the_later_is_the_best(
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: list[float | None],
    best: tuple[float | None, int],
) -> None:
    """None: nothing could be measured, which is never better than a number; with no number at all the last is best."""
    add_val_split(config)
    left = iter(scores)
    monkeypatch.setattr(loop, "validate", lambda *arguments, **options: ({"mask": {}}, next(left)))
    config = change(config, "train.evaluate_every=1", "schedule.steps=3", "train.checkpoint_every=100")
    result = train(config, tmp_path / "run", device="cpu")
    assert (result.best_score, load_model(result.best).summary["steps"]) == best


def test_the_best_score_survives_an_interruption(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, break_at: Callable[[int], None]
) -> None:
    add_val_split(config)
    scores = iter([0.9, 0.1, 0.1])
    monkeypatch.setattr(loop, "validate", lambda *arguments, **options: ({"mask": {}}, next(scores)))
    config = change(config, "train.evaluate_every=3")
    break_at(5)
    with pytest.raises(Crash):
        run(config, tmp_path / "run")
    result = train(config, tmp_path / "run", device="cpu", resume=True)
    assert result.best_score == 0.9
    assert load_model(result.best).summary["steps"] == 3


def other_labels(config: Config, output: Path) -> Config:
    path = Path(config.data.root) / "instances_val.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"annotations": content["annotations"][:-1]}))
    return config


def labels_that_nobody_knows(config: Config, output: Path) -> Config:
    """As states of before leave them."""
    for path in saved_states(output / "state"):
        tensors, header = read_tensors(path)
        write_tensors(path, tensors, {name: value for name, value in header.items() if name != "measured_on"})
    return other_labels(config, output)


def other_measure(config: Config, output: Path) -> Config:
    return change(config, "evaluation.max_detections=7")


@pytest.mark.parametrize(
    ("otherwise", "said"),
    [
        (other_labels, "instances_val.json has other labels to measure on than before: the best score, 0.9000 after"),
        (
            other_measure,
            "evaluation.max_detections is 7 instead of 100: the best score, 0.9000 after step 1, begins anew",
        ),
        (labels_that_nobody_knows, ""),
        (lambda config, output: config, ""),
    ],
)
def test_a_score_is_the_best_of_those_that_can_be_compared(
    config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    otherwise: Callable[[Config, Path], Config],
    said: str,
) -> None:
    """Another measure begins anew, and what stopped the training early with it."""
    add_val_split(config)
    scores = iter([0.9, 0.2, 0.3, 0.3])
    monkeypatch.setattr(loop, "validate", lambda *arguments, **options: ({"mask": {}}, next(scores)))
    config = change(config, "train.evaluate_every=1", "schedule.steps=2", "train.patience=1")
    assert train(config, tmp_path / "run", device="cpu").best_score == 0.9
    capfd.readouterr()
    resumed = otherwise(change(config, "schedule.steps=3"), tmp_path / "run")
    result = train(resumed, tmp_path / "run", device="cpu", resume=True)
    assert (result.best_score, result.steps) == ((0.3, 3) if said else (0.9, 2))
    err = capfd.readouterr().err
    assert said in err and ("begins anew" in err) == bool(said)


def test_a_val_split_with_other_classes_is_said_before_training(config: Config, tmp_path: Path) -> None:
    add_val_split(config)
    path = Path(config.data.root) / "instances_val.json"
    path.write_text(path.read_text().replace("dim", "cat").replace("bright", "dog"))
    with pytest.raises(UserError, match=r"instances_val\.json: expected the categories.*dim, bright.*got cat, dog"):
        run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_seed_matters(config: Config, tmp_path: Path, unbroken: bytes) -> None:
    other = run(change(config, "train.seed=1"), tmp_path / "other")
    assert weights_of(other, tmp_path) != weights_of(unbroken, tmp_path)


def test_a_directory_with_a_run_needs_resume(config: Config, tmp_path: Path, unbroken: bytes) -> None:
    with pytest.raises(UserError, match=r"unbroken: .*there is a run in it.*--resume"):
        run(config, tmp_path / "unbroken")
    assert (tmp_path / "unbroken" / "last.safetensors").read_bytes() == unbroken


def test_resuming_what_never_began_starts_anew(
    config: Config, tmp_path: Path, unbroken: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert weights_of(run(config, tmp_path / "new", resume=True), tmp_path) == weights_of(unbroken, tmp_path)
    err = capfd.readouterr().err
    assert "starting anew" in err and "the weights are random" in err


def test_resuming_a_finished_run_changes_nothing(config: Config, tmp_path: Path, unbroken: bytes) -> None:
    moved = run(config, tmp_path / "unbroken", resume=True)  # the settings name another folder of data
    assert weights_of(moved, tmp_path) == weights_of(unbroken, tmp_path)
    assert run(config, tmp_path / "unbroken", resume=True) == moved


def test_resuming_with_other_settings_names_them(config: Config, tmp_path: Path, unbroken: bytes) -> None:
    changed = change(config, "optimizer.lr=0.5", "rpn.num_convs=1", "train.log_every=5", "train.seed=3")
    with pytest.raises(UserError, match=r"cannot resume.*optimizer\.lr.*train\.seed") as caught:
        run(changed, tmp_path / "unbroken", resume=True)
    assert "log_every" not in str(caught.value) and "num_convs" not in str(caught.value)


def test_resuming_with_other_data_says_what_differs(config: Config, tmp_path: Path, unbroken: bytes) -> None:
    path = Path(config.data.root) / "instances_train.json"
    content = json.loads(path.read_text())
    content["annotations"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"is not the run's: other objects, classes, boxes, crowd flags, stuff, masks"):
        run(config, tmp_path / "unbroken", resume=True)


def test_resuming_with_other_pictures_names_them(config: Config, tmp_path: Path, unbroken: bytes) -> None:
    """Neither another place nor other time stamps are a difference."""
    folder = Path(config.data.root) / "images"
    moved = run(config, tmp_path / "unbroken", resume=True)
    assert weights_of(moved, tmp_path) == weights_of(unbroken, tmp_path)
    os.utime(folder / "0.png", (0, 0))
    assert run(config, tmp_path / "unbroken", resume=True) == moved
    shutil.copy(folder / "0.png", folder / "2.png")
    with pytest.raises(UserError, match=r"cannot resume, since pictures have changed .* read: '2\.png'; restore"):
        run(config, tmp_path / "unbroken", resume=True)


@pytest.mark.parametrize(
    ("steps", "said", "rates"),
    [
        (8, "8 instead of 7; the learning rate is that of a run of 8 steps from step 4 on", [3, 4, 5, 6, 7]),
        (4, "4 instead of 7; the learning rate is that of a run of 4 steps from step 4 on", [3]),
        (2, "2 instead of 7; .* 3 are done, so what is left is the evaluation", []),
    ],
)
def test_resuming_with_another_number_of_steps(
    config: Config,
    tmp_path: Path,
    break_at: Callable[[int], None],
    capfd: pytest.CaptureFixture[str],
    steps: int,
    said: str,
    rates: list[int],
) -> None:
    break_at(4)
    with pytest.raises(Crash):
        run(config, tmp_path / "run")
    config = change(config, f"schedule.steps={steps}")
    result = train(config, tmp_path / "run", device="cpu", resume=True)
    assert result.steps == max(steps, 3) and load_model(result.last).summary["steps"] == max(steps, 3)
    assert re.search(f"schedule.steps: {said}", capfd.readouterr().err)
    entries = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    full = 1e-3 * 2 / 4
    expected = [full * learning_rate_factor(step, config.schedule) for step in rates]
    assert [entry["learning_rate"] for entry in entries[3:]] == pytest.approx(expected)
    assert read_settings(tmp_path / "run" / "config.yaml")["schedule"]["steps"] == steps


def test_another_version_is_said_and_no_refusal(
    config: Config, tmp_path: Path, unbroken: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    newest = saved_states(tmp_path / "unbroken" / "state")[0]
    tensors, header = read_tensors(newest)
    write_tensors(newest, tensors, header | {"torch": "1.0", "package": "0.0.9"})
    assert weights_of(run(config, tmp_path / "unbroken", resume=True), tmp_path) == weights_of(unbroken, tmp_path)
    lines = [line for line in capfd.readouterr().err.splitlines() if "the last bits may differ" in line]
    assert [re.sub("this is .*:", "", line)[:50] for line in lines] == [
        "the state was written with maskrcnn 0.0.9,  the la",
        "the state was written with torch 1.0,  the last bi",
    ]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_finishes_the_step_and_saves(
    config: Config,
    tmp_path: Path,
    unbroken: bytes,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    number: int,
    code: int,
) -> None:
    """All processes of the job get it, as from a terminal or a batch system; the workers outlive it."""
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)  # pytest may run under nohup
    config = change(config, "train.checkpoint_every=100", "data.num_workers=2")
    real = MaskRCNN.loss

    def loss(self: MaskRCNN, *arguments: Any, **options: Any) -> Losses:
        children = multiprocessing.active_children()
        assert len(children) == 2
        for process in (*(child.pid for child in children), os.getpid()):
            os.kill(process or 0, number)
        losses = real(self, *arguments, **options)
        assert all(child.is_alive() for child in children)
        return losses

    with monkeypatch.context() as patched:
        patched.setattr(MaskRCNN, "loss", loss)
        with pytest.raises(SystemExit) as leaving:
            run(config, tmp_path / "stopped")
    assert leaving.value.code == code
    assert multiprocessing.active_children() == []
    lines = capfd.readouterr().err.splitlines()
    assert sum("stopping after this step" in line for line in lines) == 1
    assert "stopped after step 1; the state is saved, resume with --resume" in lines[-1]
    assert [p.stem for p in saved_states(tmp_path / "stopped" / "state")] == ["step-00000001", "step-00000000"]
    assert load_model(tmp_path / "stopped" / "last.safetensors").summary["steps"] == 1
    assert weights_of(run(config, tmp_path / "stopped", resume=True), tmp_path) == weights_of(unbroken, tmp_path)


@pytest.mark.parametrize("steps", [4, 3], ids=["in mid-training", "at the end"])
def test_a_signal_during_an_evaluation_is_looked_at_between_images(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    add_val_split(config)
    config = change(config, FEW, "train.checkpoint_every=100", "train.evaluate_every=3", f"schedule.steps={steps}")
    unbroken = run(config, tmp_path / "unbroken")
    real, seen = MaskRCNN.predict, []

    def predict(self: MaskRCNN, *arguments: Any, **options: Any) -> Any:
        seen.append(len(seen))
        if len(seen) == 2:
            signal.raise_signal(signal.SIGTERM)
        return real(self, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(MaskRCNN, "predict", predict)
        with pytest.raises(SystemExit) as leaving:
            run(config, tmp_path / "stopped")
    assert leaving.value.code == 143 and len(seen) == 2, "of four images"
    assert [p.stem for p in saved_states(tmp_path / "stopped" / "state")] == ["step-00000003", "step-00000000"]
    assert load_model(tmp_path / "stopped" / "last.safetensors").summary["steps"] == 3
    assert run(config, tmp_path / "stopped", resume=True) == unbroken
    assert evaluations(tmp_path / "stopped") == evaluations(tmp_path / "unbroken")


def evaluations(folder: Path) -> list[dict[str, Any]]:
    """What is logged of them."""
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [entry for entry in entries if entry["kind"] == "evaluation"]


def test_an_evaluation_that_was_cut_off_is_done_again(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends in mid-evaluation, or when its result is logged and the state not yet saved."""
    add_val_split(config)
    config = change(config, FEW, "train.evaluate_every=2", "train.checkpoint_every=100", "schedule.steps=3")
    unbroken = run(config, tmp_path / "unbroken")
    moments: dict[str, tuple[Any, str, Callable[..., Any]]] = {
        "during": (loop, "validate", crash),
        "after": (loop._Run, "_save_model", lambda self, path, metrics: crash() if metrics else None),
    }
    for moment, patch in moments.items():
        with monkeypatch.context() as patched:
            patched.setattr(*patch)
            with pytest.raises(Crash):
                run(config, tmp_path / moment)
        assert run(config, tmp_path / moment, resume=True) == unbroken, moment
        assert evaluations(tmp_path / moment) == evaluations(tmp_path / "unbroken")
        best, expected = (tmp_path / folder / "best.safetensors" for folder in (moment, "unbroken"))
        assert best.read_bytes() == expected.read_bytes()


def crash(*arguments: Any, **options: Any) -> None:
    raise Crash


FAILURES = {
    "no memory": MemoryError(),
    "no space": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "log.jsonl"),
}


def test_a_failure_of_the_machine_is_one_line_and_loses_nothing(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second pass of step 2, when the batch norms of the first have changed already."""
    settings = ("train.checkpoint_every=100", "train.accumulate=2", "backbone.norm=bn", "schedule.steps=3")
    config = change(config, *settings)
    unbroken = run(config, tmp_path / "unbroken")
    real = MaskRCNN.loss

    def failing(failure: Exception) -> Callable[..., Losses]:
        calls: list[int] = []

        def loss(self: MaskRCNN, *arguments: Any, **options: Any) -> Losses:
            calls.append(1)
            if len(calls) == 4:
                raise failure
            return real(self, *arguments, **options)

        return loss

    for name, failure in FAILURES.items():
        with monkeypatch.context() as patched:
            patched.setattr(MaskRCNN, "loss", failing(failure))
            with pytest.raises(UserError, match=r"stopped after step 1: .*(memory|space).*the state is saved, resume"):
                run(config, tmp_path / name)
        assert load_model(tmp_path / name / "last.safetensors").summary["steps"] == 1
        assert run(config, tmp_path / name, resume=True) == unbroken


def test_a_failure_while_the_weights_change_leaves_the_state_before(
    config: Config, tmp_path: Path, unbroken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = AdamW.step, []

    def step(self: AdamW) -> None:
        real(self)
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(AdamW, "step", step)
        with pytest.raises(UserError, match=r"after step 2: out of memory.*half done, so the last saved state counts"):
            run(config, tmp_path / "failed")
    assert [p.stem for p in saved_states(tmp_path / "failed" / "state")] == ["step-00000002", "step-00000001"]
    assert weights_of(run(config, tmp_path / "failed", resume=True), tmp_path) == weights_of(unbroken, tmp_path)


def test_a_worker_that_is_killed_is_one_line_and_loses_nothing(
    config: Config, tmp_path: Path, unbroken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the system, for want of memory."""
    config = change(config, "train.checkpoint_every=100", "data.num_workers=2")
    real, calls = MaskRCNN.loss, []

    def loss(self: MaskRCNN, *arguments: Any, **options: Any) -> Losses:
        calls.append(1)
        if len(calls) == 3:
            multiprocessing.active_children()[0].kill()
            time.sleep(10)  # interrupted by torch's handler as soon as the worker is dead
        return real(self, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(MaskRCNN, "loss", loss)
        with pytest.raises(
            UserError, match=r"after step 2: a process that reads images was killed.*the state is saved"
        ):
            run(config, tmp_path / "failed")
    assert multiprocessing.active_children() == []
    assert weights_of(run(config, tmp_path / "failed", resume=True), tmp_path) == weights_of(unbroken, tmp_path)


def test_there_is_a_model_to_use_from_the_first_checkpoint_on(
    config: Config, tmp_path: Path, break_at: Callable[[int], None]
) -> None:
    break_at(6)
    with pytest.raises(Crash):
        run(change(config, "train.checkpoint_every=2"), tmp_path / "broken")
    assert load_model(tmp_path / "broken" / "last.safetensors").summary["steps"] == 4


def poison(monkeypatch: pytest.MonkeyPatch, calls_to_poison: range) -> None:
    """Make the mask loss of some forward passes NaN."""
    calls = -1
    real = MaskRCNN.loss

    def loss(self: MaskRCNN, *arguments: Any, **options: Any) -> Losses:
        nonlocal calls
        calls += 1
        losses = real(self, *arguments, **options)
        return Losses(losses, mask=losses["mask"] * float("nan")) if calls in calls_to_poison else losses

    monkeypatch.setattr(MaskRCNN, "loss", loss)


def test_a_non_finite_step_is_skipped_and_named(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    poison(monkeypatch, range(2, 4))
    result = train(change(config, "train.max_nonfinite_steps=2"), tmp_path / "run", device="cpu")
    lines = [line for line in capfd.readouterr().err.splitlines() if "skipped" in line]
    assert [line.split(":")[0] for line in lines] == ["step 3 skipped", "step 4 skipped"]
    assert all("mask=nan" in line and ".png" in line and "box=" not in line for line in lines)
    assert result.steps == 7
    assert all(tensor.isfinite().all() for tensor in load_model(result.last).model.state_dict().values())


def test_too_many_non_finite_steps_in_a_row_stop_the_run(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, range(2, 100))
    with pytest.raises(UserError, match=r"2 steps in a row were not finite.*mask=nan.*\.png") as caught:
        train(change(config, "train.max_nonfinite_steps=1"), tmp_path / "run", device="cpu")
    assert "\n" not in str(caught.value)


def test_a_full_disk_stops_with_one_line_and_keeps_the_last_state(
    config: Config, tmp_path: Path, unbroken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def full(source: Path, target: Path) -> None:
        if "step-00000004" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(UserError, match=r"step-00000004\.safetensors: .*No space left"):
            run(config, tmp_path / "full")
    assert [p.stem for p in saved_states(tmp_path / "full" / "state")] == ["step-00000003", "step-00000002"]
    assert weights_of(run(config, tmp_path / "full", resume=True), tmp_path) == weights_of(unbroken, tmp_path)


def test_an_output_that_cannot_be_written_is_said_before_training(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file/run"):
        run(config, tmp_path / "file" / "run")


def test_missing_data_is_one_line(config: Config, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"instances_train\.json"):
        run(change(config, f"data.root={tmp_path / 'absent'}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_data_without_objects_is_one_line(config: Config, tmp_path: Path) -> None:
    path = Path(config.data.root) / "instances_train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": []}))
    with pytest.raises(UserError, match="expected annotated objects to learn from, got none"):
        run(config, tmp_path / "run")


def test_training_leaves_the_process_as_it_was(config: Config, tmp_path: Path) -> None:
    before, threads = signal.getsignal(signal.SIGINT), set(threading.enumerate())
    assert not torch.are_deterministic_algorithms_enabled()
    run(change(config, "schedule.steps=1"), tmp_path / "run")
    assert not torch.are_deterministic_algorithms_enabled()
    assert signal.getsignal(signal.SIGINT) is before
    assert set(threading.enumerate()) <= threads


# --- killed for real ------------------------------------------------------------------------------------------------


def kill_and_resume(config: Config, output: Path, kills: int, seed: int) -> int:
    """Train in a process of its own that is killed `kills` times, then let it finish; return kills while saving."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["maskrcnn.training.loop"])
    chance = random.Random(seed)
    hits = 0
    for _ in range(kills):
        process = start(context, config, output)
        hits += kill_soon(process, RunFolder(output), chance)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    process = start(context, config, output)
    process.join()
    assert process.exitcode == 0
    return hits


def start(context: Any, config: Config, output: Path) -> Any:
    process = context.Process(target=train, args=(config, output), kwargs={"device": "cpu", "resume": True})
    process.start()
    return process


def kill_soon(process: Any, folder: RunFolder, chance: random.Random) -> bool:
    """Kill at a random moment, or, every other time, in the middle of writing a state."""
    known = set(saved_states(folder.states))
    wait_until(process, lambda: bool(set(saved_states(folder.states)) - known))  # it goes forward
    if chance.random() < 0.5:
        wait_until(process, lambda: any(folder.states.glob(".*.partial")))
    else:
        time.sleep(chance.uniform(0, 0.15))
    process.kill()
    process.join()
    return any(folder.states.glob(".*.partial"))


def wait_until(process: Any, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.is_alive(), "training ended before it could be killed; give it more steps"
        assert time.monotonic() < deadline
        time.sleep(0.0005)


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments(config: Config, tmp_path: Path, kills: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as here: another number of threads adds up in another order
    steps = 6 * kills
    config = change(config, f"schedule.steps={steps}")
    unbroken = run(config, tmp_path / "unbroken")
    hits = kill_and_resume(config, tmp_path / "killed", kills, seed=kills)
    print(f"{kills} kills, {hits} of them while a state was being written")
    assert (tmp_path / "killed" / "last.safetensors").read_bytes() == unbroken
    assert [p.stem for p in saved_states(tmp_path / "killed" / "state")] == [
        f"step-{step:08d}" for step in (steps, steps - 1)
    ]
    assert not list((tmp_path / "killed").rglob(".*.partial"))
