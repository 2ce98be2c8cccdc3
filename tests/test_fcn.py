"""FCN from training to prediction by the commands and the labels that Mask R-CNN has."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import maskrcnn
from maskrcnn.cli.main import main
from maskrcnn.errors import UserError

ROOT = Path(__file__).parents[1]
DATA = ROOT / "examples" / "nuclei_mini"
PAGE, FAMILY = ((ROOT / "docs" / name).read_text() for name in ("fcn.md", "family.md"))
SNIPPET = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
COMMANDS = [shlex.split(line)[1:] for line in re.findall(r"^maskrcnn .*[^\\]$", PAGE, re.MULTILINE)]


def test_the_commands_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the page has them, but for fewer steps and one image to predict."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "quick.yaml").write_text(re.findall(r"```yaml\n(.*?)```", FAMILY, re.DOTALL)[0])
    monkeypatch.chdir(tmp_path)
    train, evaluate, predict = COMMANDS

    def run(*arguments: str) -> str:
        assert main(arguments) == 0
        return "".join(capsys.readouterr())

    out = run(*train, "--set", "schedule.steps=2", "--set", "backbone.name=resnet18", "--init", "none")
    assert "evaluation: mIoU" in out and "semantic" in out
    out = run(*evaluate)
    assert "mIoU  pixel accuracy" in out and "nucleus" in out and "background" in out and "maxDets" not in out
    metrics = json.loads(Path("outputs/fcn_evaluation/metrics.json").read_text())
    assert 0 < metrics["semantic"]["pixel_accuracy"] <= 1 and "box" not in metrics
    assert sum(row["num_pixels"] for row in metrics["semantic"]["per_class"]) == _pixels_of_val()
    assert "Every pixel" in Path("outputs/fcn_evaluation/report.html").read_text()

    image = Path("examples/nuclei_mini/images/fluorescence_275.png")
    predict = tuple(word.replace("examples/nuclei_mini/images", str(image)) for word in predict)
    out = run(*predict)
    assert "label_maps" in out and "0 objects" not in out and "score" not in out
    folder = Path("outputs/fcn_pictures")
    with Image.open(folder / "label_maps" / image.name) as written, Image.open(image) as picture:
        assert written.size == picture.size and set(np.unique(np.asarray(written)).tolist()) <= {0, 1}
        label_map = np.asarray(written)
    assert (folder / image.name).is_file() and json.loads((folder / "predictions.json").read_text()) == []

    (folder / image.name).unlink()
    assert "1 finished image without a picture: rows do not have the class of every" in run(*predict, "--resume")
    prediction = maskrcnn.load("outputs/fcn/best.safetensors", "cpu").predict(image)
    assert prediction.semantic is not None and np.array_equal(prediction.semantic, label_map)
    assert len(prediction) == 0

    shutil.copy(image, "cells.png")
    found: dict[str, Any] = {}
    exec(SNIPPET, found)
    assert found["shares"] == {"nucleus": (label_map == 0).mean()}
    with Image.open("cells_classes.png") as written:
        assert np.array_equal(np.asarray(written), label_map)


def _pixels_of_val() -> int:
    content = json.loads((DATA / "instances_val.json").read_text())
    return sum(image["width"] * image["height"] for image in content["images"])


def test_objects_and_every_pixel_by_one_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are evaluated and drawn; what is best is decided by the masks."""
    (tmp_path / "quick.yaml").write_text(re.findall(r"```yaml\n(.*?)```", FAMILY, re.DOTALL)[0])
    settings = ("schedule.steps=1", "semantic_head.enabled=true", "semantic_head.channels=32")
    options = [part for setting in settings for part in ("--set", setting)]
    paths = ("--data", str(DATA), "--config", str(tmp_path / "quick.yaml"), "--output", str(tmp_path / "run"))
    assert main(["train", "--preset", "small", "--init", "none", *paths, *options]) == 0
    assert "evaluation: mask AP" in capsys.readouterr().err
    metrics = json.loads((tmp_path / "run" / "evaluation" / "metrics.json").read_text())
    assert {"mask", "box", "semantic"} <= metrics.keys()
    prediction = maskrcnn.load(tmp_path / "run" / "last.safetensors", "cpu").predict(
        np.zeros((40, 60, 3), np.uint8), score_threshold=0
    )
    assert prediction.semantic is not None and prediction.semantic.shape == (40, 60)
    assert prediction.has_masks and len(prediction[:1]) <= 1 and prediction.overlay().shape[2] == 3


def test_a_model_of_objects_has_no_label_map(tmp_path: Path) -> None:
    prediction = maskrcnn.load("nuclei").predict(np.zeros((32, 32, 3), np.uint8))
    assert prediction.semantic is None
    with pytest.raises(UserError, match=r"semantic_head\.enabled is false"):
        prediction.save_label_map(tmp_path / "map.png")
