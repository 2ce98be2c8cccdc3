"""The systems of the paper from training to prediction through the command line, on real images.

Microscope images, and COCO's photographs where they are about keypoints. An RPN alone is trained first; what it finds
is what Fast R-CNN and R-CNN, which have no RPN, look at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

import maskrcnn
from maskrcnn.cli.main import main

DATA = Path(__file__).parents[1] / "examples" / "nuclei_mini"
IMAGE = DATA / "images" / "fluorescence_275.png"
PHOTOGRAPHS = Path(__file__).parents[2] / "shared" / "data" / "coco_mini"
ONE_LEVEL = ("anchors.sizes=[[8,16,32]]", "backbone.name=resnet50", "resnet.stem_channels=8")
NO_MASKS = ("mask_head.enabled=false",)
SYSTEMS: dict[str, Sequence[str]] = {
    "mask r-cnn": (),
    "mask r-cnn on a resnext": (
        "backbone.name=resnext50_4x32d",
        "resnet.stem_channels=8",
        "resnet.stride_in_1x1=true",
    ),
    "torchvision's second": (
        "rpn.num_convs=2",
        "fpn.norm=bn",
        "box_head.num_convs=4",
        "box_head.conv_channels=16",
        "box_head.num_fcs=1",
        "box_head.norm=bn",
        "mask_head.norm=bn",
    ),
    "faster r-cnn": NO_MASKS,
    "c4": ("backbone.features=c4", *ONE_LEVEL, "box_head.num_fcs=0", "mask_head.num_convs=0"),
    "c4, stride 1": (
        "backbone.features=c4",
        "resnet.stage5_stride=1",
        *ONE_LEVEL,
        "box_head.num_fcs=0",
        "mask_head.pooled_size=7",
        "mask_head.num_convs=0",
    ),
    "c5": ("backbone.features=c5", *ONE_LEVEL),
    "dilated c5": ("backbone.features=c5", "resnet.stage5_stride=1", "resnet.stage5_dilation=2", *ONE_LEVEL),
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
KEYPOINT_SYSTEMS: dict[str, Sequence[str]] = {
    "keypoint r-cnn": NO_MASKS,
    "box, mask and keypoints": ("mask_head.enabled=true",),
    "keypoints, c4": (
        *("mask_head.enabled=true", "backbone.features=c4", "backbone.name=resnet50", "resnet.stem_channels=8"),
        *("anchors.sizes=[[16,32,64,128]]", "box_head.num_fcs=0", "box_head.pooled_size=14", "mask_head.num_convs=0"),
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
    "box_head.max_detections=20",
)
SLOW = {"mask r-cnn on a resnext", "torchvision's second", "c4, stride 1", "keypoints, c4"}


def each(systems: Mapping[str, Sequence[str]]) -> list[ParameterSet]:
    """Their names; those whose parts are all in others too run with `make test-all` alone."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in systems]


def command(*arguments: str | Path) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def train(output: Path, settings: Sequence[str], *data: str | Path, preset: str = "tiny") -> Path:
    options = [option for setting in (*SHORT, *settings) for option in ("--set", setting)]
    command("train", *(data or ("--data", DATA)), "--output", output, "--preset", preset, *options)
    return output / "best.safetensors"


def results(folder: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads((folder / "predictions.json").read_text())
    return content


def predict(model: Path, image: Path, output: Path, *options: str | Path) -> list[dict[str, Any]]:
    """What the command finds in an image, and draws; more than nothing, though a model this young is sure of nothing.

    The file alone makes the same model again: it finds the same.
    """
    command("predict", image, "--model", model, "--output", output, "--score-threshold", "0.001", *options)
    assert (output / f"{image.stem}.png").is_file()
    found = results(output)
    assert found
    again = maskrcnn.load(model, "cpu")
    if again.network.rpn is not None:
        scores = again.predict(image, score_threshold=0.001).scores.tolist()
        assert [result["score"] for result in found] == pytest.approx(scores, abs=1e-4)
    return found


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
    predict(rpn / "run" / "best.safetensors", IMAGE, rpn / "p")


@pytest.mark.parametrize("name", each(SYSTEMS))
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

    own = [{**r, "image_id": 1, "file_name": IMAGE.as_posix()} for r in results(rpn / "val")[:20]]
    (tmp_path / "own.json").write_text(json.dumps(own))
    found = predict(model, IMAGE, tmp_path / "p", *(("--proposals", tmp_path / "own.json") if given else ()))
    assert all(("segmentation" in result) == ("mask" in metrics) for result in found)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotations of four of COCO's photographs with persons, for both splits; a test is skipped without them."""
    source = PHOTOGRAPHS / "person_keypoints_train.json"
    if not source.is_file():
        pytest.skip(f"needs COCO's persons in {PHOTOGRAPHS}, which are not part of the repository")
    content = json.loads(source.read_text())
    labelled = {a["image_id"] for a in content["annotations"] if a["num_keypoints"]}
    content["images"] = [image for image in content["images"] if image["id"] in labelled][:4]
    chosen = {image["id"] for image in content["images"]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in chosen]
    folder = tmp_path_factory.mktemp("people")
    for split in ("train", "val"):
        (folder / f"person_keypoints_{split}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("name", each(KEYPOINT_SYSTEMS))
def test_keypoints_from_training_to_prediction(name: str, people: Path, tmp_path: Path) -> None:
    settings, images = KEYPOINT_SYSTEMS[name], ("--images", PHOTOGRAPHS / "images")
    model = train(tmp_path / "run", settings, "--data", people, *images, preset="keypoints_tiny")
    truth = people / "person_keypoints_val.json"
    command("evaluate", "--model", model, "--annotations", truth, *images, "--output", tmp_path / "evaluation")
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert 0 <= metrics["keypoints"]["AP"] <= 1
    assert ("mask" in metrics) == ("mask_head.enabled=true" in settings)
    image = PHOTOGRAPHS / "images" / json.loads(truth.read_text())["images"][0]["file_name"]
    found = predict(model, image, tmp_path / "p")
    assert all(len(result["keypoints"]) == 3 * 17 for result in found)
    assert all(("segmentation" in result) == ("mask" in metrics) for result in found)


def test_without_proposals_there_is_one_clear_line(
    rpn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--set", "rpn.enabled=false", "--set", "mask_head.enabled=false", "--set", "schedule.steps=1"]
    run = main(["train", "--data", str(DATA), "--output", str(tmp_path), "--preset", "tiny", *options])
    assert run == 2 and "data.train_proposals: expected a file of COCO results" in capsys.readouterr().err
