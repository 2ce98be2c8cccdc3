"""A folder of labels in any known form is checked and trained on as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.formats.scenes import SCENES, coco, labelme, picture, yolo

Run = Callable[..., tuple[int, str, str]]

SHORT = ("schedule.steps=1", "train.batch_size=1", "input.min_size=48", "data.num_workers=0")


def train(run: Run, data: Path, output: Path, *settings: str) -> tuple[int, str, str]:
    assignments = [word for setting in (*SHORT, *settings) for word in ("--set", setting)]
    return run("train", "--data", data, "--output", output, "--preset", "tiny", *assignments)


@pytest.mark.parametrize("scene", SCENES)
def test_check_says_the_form_and_goes_on(run: Run, tmp_path: Path, scene: str) -> None:
    form, make = SCENES[scene]
    make(tmp_path / "data")
    code, out, err = run("check", tmp_path / "data")
    assert (code, err) == (0, ""), err
    assert f"{tmp_path / 'data'}: labels of the form {form}\n" in out and "1 images, 2 objects" in out


def test_check_takes_a_file_of_another_form(run: Run, tmp_path: Path) -> None:
    labelme(tmp_path)
    code, out, _ = run("check", tmp_path / "a.json")
    assert code == 0 and "labels of the form labelme" in out


def test_a_form_is_trained_on(run: Run, tmp_path: Path) -> None:
    labelme(tmp_path / "data")
    code, out, err = train(run, tmp_path / "data", tmp_path / "run")
    assert code == 0, err
    assert "labels of the form labelme, train" in out + err and "nothing is evaluated" in out + err
    assert (tmp_path / "run/last.safetensors").exists() or list((tmp_path / "run").glob("*.safetensors"))


def test_splits_of_a_form_are_those_of_the_training(run: Run, tmp_path: Path) -> None:
    yolo(tmp_path / "data")
    source = tmp_path / "data"
    for kind in ("images", "labels"):
        for file in (source / kind / "train").iterdir():
            target = source / kind / "val" / file.name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(file.read_bytes())
    picture(source / "images/val/a.png")
    (source / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat, dog]\n")
    code, out, err = train(run, source, tmp_path / "run")
    assert code == 0, err
    assert "labels of the form yolo, train and val" in out + err
    record = json.loads((tmp_path / "run/log.jsonl").read_text().splitlines()[-1])
    assert record


def test_a_run_resumes_on_the_form_it_began_with(run: Run, tmp_path: Path) -> None:
    labelme(tmp_path / "data")
    assert train(run, tmp_path / "data", tmp_path / "run")[0] == 0
    code, _, err = run("train", "--output", tmp_path / "run", "--resume")
    assert code == 0, err


def test_no_form_and_several_are_one_line(run: Run, tmp_path: Path) -> None:
    picture(tmp_path / "empty/a.png")
    for command in (
        ("check", tmp_path / "empty"),
        ("train", "--data", tmp_path / "empty", "--output", tmp_path / "run"),
    ):
        code, _, err = run(*command)
        assert code == 2 and "expected labels in a known form, found none; looked for" in err
        assert len(err.strip().splitlines()) == 1
    coco(tmp_path / "two")
    labelme(tmp_path / "two")
    code, _, err = run("check", tmp_path / "two")
    assert code == 2 and "found several: coco, labelme" in err
