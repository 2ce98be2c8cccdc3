"""The systems of the paper from training to prediction through the command line, on real microscope images.

An RPN alone is trained first; what it finds is what Fast R-CNN and R-CNN, which have no RPN, look at.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import maskrcnn
from maskrcnn.cli.main import main

DATA = Path(__file__).parents[1] / "examples" / "nuclei_mini"
ONE_LEVEL = ("anchors.sizes=[[8,16,32]]", "backbone.name=resnet50", "backbone.stem_channels=8")
NO_MASKS = ("mask_head.enabled=false",)
SYSTEMS: dict[str, Sequence[str]] = {
    "faster r-cnn": NO_MASKS,
    "c4": ("backbone.features=c4", *ONE_LEVEL, "box_head.num_fcs=0", "mask_head.num_convs=0"),
    "dilated c5": ("backbone.features=c5", "backbone.stage5_stride=1", "backbone.stage5_dilation=2", *ONE_LEVEL),
    "fast r-cnn": ("rpn.enabled=false", *NO_MASKS),
    "r-cnn": (
        "rpn.enabled=false",
        "backbone.features=image",
        "box_head.pooled_size=32",
        "box_head.num_fcs=0",
        "roi.samples_per_image=8",
        *NO_MASKS,
    ),
}
SHORT = (
    "schedule.steps=2",
    "train.batch_size=2",
    "data.num_workers=0",
    "input.min_size=96",
    "input.max_size=128",
    "augment.crop_size=96",
    "train.log_every=1",
)


def command(*arguments: str | Path) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def train(output: Path, settings: Sequence[str]) -> Path:
    options = [option for setting in (*SHORT, *settings) for option in ("--set", setting)]
    command("train", "--data", DATA, "--output", output, "--preset", "tiny", *options)
    return output / "best.safetensors"


def results(folder: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((folder / "predictions.json").read_text())
    return content


@pytest.fixture(scope="module")
def rpn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an RPN alone, and what it found in the images of both splits."""
    folder = tmp_path_factory.mktemp("rpn")
    model = train(folder / "run", ("box_head.enabled=false", *NO_MASKS))
    for split in ("train", "val"):
        data = ("--annotations", DATA / f"instances_{split}.json", "--images", DATA / "images")
        command("evaluate", "--model", model, *data, "--output", folder / split, "--max-detections", "300")
    return folder


def test_an_rpn_alone_tells_objects_from_background(rpn: Path) -> None:
    model = maskrcnn.load(rpn / "run" / "best.safetensors")
    assert model.categories.names == ("object",) and model.network.box_head is None
    found = results(rpn / "val")
    assert {result["category_name"] for result in found} == {"object"} and "segmentation" not in found[0]
    metrics = json.loads((rpn / "val" / "metrics.json").read_text())
    assert 0 <= metrics["box"]["AR100"] <= metrics["box"]["AR300"] <= 1 and "mask" not in metrics


@pytest.mark.parametrize("name", SYSTEMS)
def test_train_evaluate_predict_reload(name: str, rpn: Path, tmp_path: Path) -> None:
    train_proposals, val_proposals = (rpn / split / "predictions.json" for split in ("train", "val"))
    given: tuple[str | Path, ...] = ()
    settings = SYSTEMS[name]
    if "rpn.enabled=false" in settings:
        given = ("--proposals", val_proposals)
        settings = (*settings, f"data.train_proposals={train_proposals}", f"data.val_proposals={val_proposals}")
    model = train(tmp_path / "run", settings)
    command("evaluate", "--model", model, "--data", DATA, "--output", tmp_path / "evaluation", *given)
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert ("mask" in metrics) == ("mask_head.enabled=false" not in settings)

    image = next((DATA / "images").glob("fluorescence_*.png"))
    own = [{**r, "image_id": 1, "file_name": image.as_posix()} for r in results(rpn / "val")[:20]]
    (tmp_path / "own.json").write_text(json.dumps(own))
    given = ("--proposals", tmp_path / "own.json") if given else ()
    command("predict", image, "--model", model, "--output", tmp_path / "p", "--score-threshold", "0.01", *given)
    assert (tmp_path / "p" / f"{image.stem}.png").is_file()


def test_without_proposals_there_is_one_clear_line(
    rpn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set", "rpn.enabled=false", "--set", "mask_head.enabled=false", "--set", "schedule.steps=1"]
    run = main(["train", "--data", str(DATA), "--output", str(tmp_path), "--preset", "tiny", *options])
    assert run == 2 and "data.train_proposals: expected a file of COCO results" in capsys.readouterr().err
