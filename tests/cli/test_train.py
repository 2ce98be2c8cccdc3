"""`maskrcnn train`: where its settings come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from maskrcnn.cli.train import _parser
from maskrcnn.cli.training_settings import settings_of
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.presets import preset
from maskrcnn.settings import config_from_dict, parse_assignments, update_config, write_yaml

Run = Callable[..., tuple[int, str, str]]


def settings(*arguments: str | Path) -> Config:
    return settings_of(_parser().parse([str(argument) for argument in arguments]))


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("rpn: {nms_threshold: 0.6, num_convs: 2}\ndata: {root: from_file}\n")
    config = settings(
        "--preset", "nuclei", "--config", file, "--set", "rpn.num_convs=3", "--set", "train.seed=5", "--data", "typed"
    )
    assert config.box_head.max_detections == preset("nuclei").box_head.max_detections
    assert (config.rpn.nms_threshold, config.rpn.num_convs, config.train.seed) == (0.6, 3, 5)
    assert config.data.root == "typed"
    assert settings("--config", file).data.root == "from_file"


@pytest.mark.parametrize("name", ["epochs", "minutes"])
def test_0_switches_off_what_a_file_or_a_run_has_switched_on(tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"schedule: {{steps: 7, {name}: 3}}\n")
    for options in (("--config", file), ("--output", tmp_path, "--resume")):
        assert getattr(settings(*options).schedule, name) == 3
        off = settings(*options, f"--{name}", "0").schedule
        assert (off.steps, off.epochs, off.minutes) == (7, 0, 0)
    assert settings(f"--{name}", "0", "--set", "schedule.steps=5").schedule.steps == 5
    file.write_text(f"schedule: {{{name}: 3}}\n")
    for off_alone in ((f"--{name}", "0"), ("--set", f"schedule.{name}=0")):
        with pytest.raises(UserError, match=f"{name}: expected a number above 0, got 0"):
            settings("--config", file, *off_alone)


def test_files_are_relative_to_where_the_command_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = settings("--data", "set", "--train-annotations", "labels/a.json", "--images", tmp_path / "pictures").data
    assert (data.train_annotations, data.images) == (str(tmp_path / "labels" / "a.json"), str(tmp_path / "pictures"))
    assert data.val_annotations == "instances_val.json"
    assert settings("--data", "set", "--images", tmp_path / "set" / "pictures").data.images == "pictures"


def test_resuming_takes_the_settings_of_the_run(tmp_path: Path) -> None:
    saved = settings("--preset", "tiny", "--set", "train.seed=9", "--data", "where")
    (tmp_path / "config.yaml").write_text(write_yaml(saved))
    assert settings("--output", tmp_path, "--resume") == saved
    assert settings("--output", tmp_path, "--resume", "--set", "train.log_every=7").train.log_every == 7
    assert settings("--output", tmp_path, "--resume", "--preset", "small").train.seed == 0
    assert settings("--output", tmp_path).train.seed == 0


def test_print_config_is_what_config_reads(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("train", "--preset", "tiny", "--set", "optimizer.lr=0.5", "--print-config")
    config = config_from_dict(yaml.safe_load(out))
    assert code == 0 and config.optimizer.lr == 0.5
    (tmp_path / "all.yaml").write_text(out)
    assert settings("--config", tmp_path / "all.yaml") == config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "x"], "--output is missing"),
        (["--output", "x"], "--data is missing"),
        (["--output", "x", "--resume"], "x: expected the folder of a run to resume"),
        (["--config", "absent.yaml", "--output", "x"], "absent.yaml: no such file; expected a YAML file of settings"),
        (["--output", "x", "--data", "y", "--preset", "nucle"], "nuclei"),
        (["--output", "x", "--data", "y", "--set", "rpn.nms_treshold=0.6"], "did you mean rpn.nms_threshold?"),
        (["--output", "x", "--data", "absent"], "absent"),
        (["--output", "x", "--epochs", "0"], "--epochs: expected a number above 0, got 0, and nothing else"),
        (["--output", "x", "--epochs", "0", "--set", "schedule.minutes=0"], "--epochs: expected a number above 0"),
        (["--output", "x", "--set", "schedule.minutes=0"], "--set schedule.minutes: expected a number above 0"),
        (["--output", "x", "--minutes", "0", "--set", "train.seed=1"], "--minutes: expected a number above 0, got 0"),
        (["--epochs", "-1"], "argument --epochs: expected a number from 0 to 1e+06, got -1"),
    ],
)
def test_mistakes(
    run: Run, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("train", *arguments)
    assert code == 2 and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "one", "other"),
    [
        (["--epochs", "2", "--set", "schedule.steps=5"], "schedule.steps", "schedule.epochs=2"),
        (["--set", "schedule.minutes=3", "--set", "schedule.steps=5"], "schedule.steps", "schedule.minutes=3"),
        (["--batch", "auto", "--set", "train.batch_size=5"], "train.batch_size", "train.batch_memory=0.6"),
        (["--batch", "4", "--set", "train.batch_memory=0.5"], "train.batch_size", "train.batch_memory=0.5"),
    ],
)
def test_of_two_settings_that_contradict_each_other_none_is_dropped(options: list[str], one: str, other: str) -> None:
    with pytest.raises(
        UserError, match=f"^{one}: contradicts {other}, from which it follows; leave one of the two out"
    ):
        settings(*options)


@pytest.mark.parametrize("source", ["a saved run", "a file"])
@pytest.mark.parametrize(
    ("before", "given", "left_out", "expected"),
    [
        ("schedule.epochs=2", ["--set", "schedule.steps=20"], "since schedule.steps is given", (20, 0, 0, 0)),
        ("schedule.minutes=5", ["--set", "schedule.steps=20"], "since schedule.steps is given", (20, 0, 0, 0)),
        ("schedule.minutes=5", ["--epochs", "3"], "since schedule.epochs is given", (9, 3, 0, 0)),
        ("schedule.epochs=2", ["--minutes", "0.5"], "since schedule.minutes is given", (9, 0, 0.5, 0)),
        ("train.batch_memory=0.6", ["--batch", "2"], "since train.batch_size is given", (9, 0, 0, 0)),
        ("train.seed=1", ["--epochs", "3"], "", (9, 3, 0, 0)),  # steps are in every file, whether meant or not
        ("schedule.epochs=2", ["--epochs", "3"], "", (9, 3, 0, 0)),
        ("schedule.epochs=2", ["--set", "schedule.minutes=0"], "", (9, 2, 0, 0)),
        ("schedule.epochs=2", ["--set", "schedule.steps=20", "--set", "schedule.epochs=0"], "", (20, 0, 0, 0)),
    ],
)
def test_the_command_line_has_the_last_word(
    tmp_path: Path, source: str, before: str, given: list[str], left_out: str, expected: tuple[float, ...]
) -> None:
    file, said = tmp_path / "config.yaml", list[str]()
    steps = replace(preset("tiny"), schedule=replace(preset("tiny").schedule, steps=9))
    file.write_text(write_yaml(update_config(steps, parse_assignments([before]), "")))
    base = ["--output", str(tmp_path), "--resume"] if source == "a saved run" else ["--config", str(file)]
    config = settings_of(_parser().parse([*base, *given]), say=said.append)
    assert said == ([f"{before}: left out, {left_out}"] if left_out else [])
    schedule = config.schedule
    assert (schedule.steps, schedule.epochs, schedule.minutes, config.train.batch_memory) == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "schedule.gamma=0.5"], "schedule.gamma: without effect, since schedule.name=cosine; it is for "),
        (["--set", "optimizer.momentum=0.5"], "since optimizer.name=adamw; it is for optimizer.name=sgd\n"),
        (["--set", "mask_head.enabled=false", "--set", "mask_head.channels=8"], "mask_head.channels: without effect"),
        (["--proposals", "regions.json"], "data.val_proposals: without effect, since rpn.enabled=true; it is for "),
        (["--set", "schedule.gamma=0.5", "--set", "schedule.name=step", "--set", "mask_head.enabled=false"], ""),
        (["--config", "all.yaml"], ""),
    ],
)
def test_what_was_given_and_means_nothing_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    """Of a file, which may hold all settings there are, nothing."""
    monkeypatch.chdir(tmp_path)
    Path("all.yaml").write_text(write_yaml(preset("tiny")))
    code, _, err = run("train", "--preset", "tiny", *options, "--print-config")
    assert code == 0 and said in err and ("without effect" in err) == bool(said)


def test_train_and_predict_with_the_result(run: Run, dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    small = [
        "--set",
        "schedule.steps=2",
        "--set",
        "train.batch_size=1",
        "--set",
        "input.min_size=48",
        "--set",
        "data.num_workers=0",
    ]
    code, out, err = run("train", "--data", dataset, "--output", output, "--preset", "tiny", *small)
    assert code == 0, err
    assert str(output / "best.safetensors") in out
    code, _, err = run("train", "--data", dataset, "--output", output, "--preset", "tiny", *small)
    assert code == 2 and "--resume" in err
    code, out, err = run("predict", dataset / "images", "--model", output, "--output", tmp_path / "p")
    assert code == 0, err


@pytest.mark.parametrize("masks", [False, True], ids=["keypoints alone", "with masks"])
def test_keypoints_are_trained_evaluated_and_predicted(run: Run, persons: Path, tmp_path: Path, masks: bool) -> None:
    output, results = tmp_path / "run", tmp_path / "results"
    settings = ["schedule.steps=2", "train.batch_size=1", "input.min_size=48", "data.num_workers=0"]
    settings += ["keypoint_head.num_convs=1", "box_head.score_threshold=0.0", "box_head.max_detections=5"]
    settings += [f"mask_head.enabled={masks}"]
    assignments = [word for setting in settings for word in ("--set", setting)]
    code, _, err = run("train", "--data", persons, "--output", output, "--preset", "keypoints_tiny", *assignments)
    assert code == 0, err
    record = json.loads((output / "log.jsonl").read_text().splitlines()[0])
    assert record["losses"]["keypoint"] > 1 and ("mask" in record["losses"]) == masks

    model = output / "best.safetensors"
    truth = ["--annotations", persons / "person_keypoints_val.json", "--images", persons / "images"]
    code, _, err = run("evaluate", "--model", model, *truth, "--output", results)
    assert code == 0, err
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics["keypoints"]["AP"] is not None and ("mask" in metrics) == masks
    found_in, all_of_them = tmp_path / "found", ["--score-threshold", "0"]
    code, _, err = run("predict", persons / "images" / "1.png", "--model", model, "--output", found_in, *all_of_them)
    assert code == 0, err
    found = json.loads((found_in / "predictions.json").read_text())
    assert found and all(len(result["keypoints"]) == 9 for result in found) and (found_in / "1.png").is_file()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--val-annotations", "{}/instances_val.json"), "val_annotations"),
        (("--set", "data.val_annotations=instances_val.json"), "val_annotations"),
        (("--set", "data.val_annotations=other.json"), "val_annotations"),
        (("--train-annotations", "{}/none.json"), "train_annotations"),
        (("--images", "{}/none"), "images"),
    ],
)
def test_what_is_named_must_be_there(
    run: Run, dataset: Path, tmp_path: Path, options: tuple[str, ...], name: str
) -> None:
    (dataset / "instances_val.json").unlink()
    typed = [option.format(dataset) for option in options]
    output = tmp_path / "out"
    code, _, err = run("train", "--data", dataset, "--preset", "tiny", "--init", "none", "--output", output, *typed)
    assert code == 2 and f"data.{name} names it" in err and not output.exists()
