"""The systems of docs/family.md from training to prediction, through the command line as the page has it.

Microscope images, and COCO's photographs where they are about keypoints. What an RPN alone finds is what Fast R-CNN and
R-CNN, which have no RPN, look at.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

import maskrcnn
from maskrcnn.cli.main import main
from maskrcnn.presets import PRESETS, preset

ROOT = Path(__file__).parents[1]
PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "coco_mini"
IMAGE = Path("examples/nuclei_mini/images/fluorescence_275.png")
PAGE = (ROOT / "docs" / "family.md").read_text()

COMMANDS = [
    shlex.split(line)[1:]
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
TRAIN = {c[c.index("--preset") + 1]: c for c in COMMANDS if c[0] == "train"}
PROPOSE, EVALUATE, PREDICT = (c for c in COMMANDS if c[0] != "train")
SHORT = ("--set", "schedule.steps=2")

C4_STRIDE_2 = ("resnet.stage5_stride=2", "box_head.pooled_size=14", "mask_head.pooled_size=14")
JOINT_C4 = ("backbone.features=c4", "anchors.sizes=[[16,32,64,128]]", "box_head.num_fcs=0", "mask_head.num_convs=0")
VARIANTS: dict[str, tuple[str, Sequence[str]]] = {
    "c4, stride 2": ("c4", C4_STRIDE_2),
    "torchvision's second": ("torchvision_v2", ("box_head.conv_channels=16",)),
    "joint, c4": ("joint", (*JOINT_C4, "box_head.pooled_size=14")),
}
"""Parts that no preset of the page has."""


def each(of_people: bool) -> list[ParameterSet]:
    """Preset and settings; what is made of parts of the others runs with `make test-all` alone."""
    systems = {name: (name, ()) for name in TRAIN if name != "rpn"} | VARIANTS
    return [
        pytest.param(*system, id=name, marks=[pytest.mark.slow] * (name in VARIANTS))
        for name, system in systems.items()
        if preset(system[0]).keypoint_head.enabled == of_people
    ]


def test_the_page_has_every_system_of_the_family() -> None:
    family = {name for name, make in PRESETS.items() if make.__module__ == "maskrcnn.presets.family"}
    rows = re.findall(r"^\|.*`--preset (\w+)( --proposals FILE)?` \|", PAGE, re.MULTILINE)
    assert family == TRAIN.keys() == {name for name, _ in rows} and len(rows) == len(family)
    for name, given in rows:
        assert bool(given) == (not preset(name).rpn.enabled) == ("--proposals" in TRAIN[name])


def command(*arguments: str | Path) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def begin_in(folder: Path) -> None:
    """Where a reader of the page would be: with the examples and the settings that make everything small."""
    (folder / "examples").symlink_to(ROOT / "examples")
    (settings,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (folder / "quick.yaml").write_text(settings)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    begin_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def rpn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of an RPN alone, among them what it finds in all images: few, for R-CNN takes its time."""
    folder = tmp_path_factory.mktemp("rpn")
    begin_in(folder)
    with contextlib.chdir(folder):
        command(*TRAIN["rpn"], *SHORT, "--set", "rpn.post_nms_top_k_test=8")
        command(*PROPOSE)
    return folder / "outputs"


def results(path: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads(path.read_text())
    return content


def train(name: str, settings: Sequence[str] = (), **replaced: str | Path) -> None:
    options = [option for setting in settings for option in ("--set", setting)]
    line = TRAIN.get(name, [*TRAIN["paper"][:2], name, *TRAIN["paper"][3:]])
    command(*(replaced.get(argument, argument) for argument in line), "--output", "outputs/system", *SHORT, *options)


def evaluate(*options: str | Path) -> dict[str, Any]:
    command(*(word.replace("c4", "system") for word in EVALUATE), *options)
    metrics: dict[str, Any] = json.loads(Path("outputs/system_evaluation/metrics.json").read_text())
    return metrics


def predict(image: Path, *options: str | Path) -> list[dict[str, Any]]:
    """What the page's command finds in an image, and draws; more than nothing, though a model this young is unsure.

    The file alone makes the same model again: it finds the same.
    """
    line = [word.replace("c4", "system").replace("examples/nuclei_mini/images", str(image)) for word in PREDICT]
    command(*line, "--score-threshold", "0.001", *options)
    assert Path("outputs/system_pictures", image.name).is_file()
    found = results(Path("outputs/system_pictures/predictions.json"))
    assert found
    again = maskrcnn.load("outputs/system/best.safetensors", "cpu")
    if again.network.rpn is not None:
        scores = again.predict(image, score_threshold=0.001).scores.tolist()
        assert [result["score"] for result in found] == pytest.approx(scores, abs=1e-4)
    return found


def test_an_rpn_alone_tells_objects_from_background(rpn: Path) -> None:
    model = maskrcnn.load(rpn / "rpn" / "best.safetensors")
    assert model.categories.names == ("object",) and model.network.box_head is None
    found = results(rpn / "proposals" / "predictions.json")
    assert {result["category_name"] for result in found} == {"object"} and "segmentation" not in found[0]
    assert len({result["image_id"] for result in found}) == 12
    metrics = json.loads((rpn / "rpn" / "evaluation" / "metrics.json").read_text())
    assert 0 <= metrics["box"]["AR100"] <= metrics["box"]["AR1000"] <= 1 and "mask" not in metrics


@pytest.mark.parametrize(("name", "settings"), each(of_people=False))
def test_train_evaluate_predict_reload(name: str, settings: Sequence[str], rpn: Path, here: Path) -> None:
    (here / "outputs").mkdir()
    (here / "outputs" / "proposals").symlink_to(rpn / "proposals")
    given = () if preset(name).rpn.enabled else ("--proposals", "outputs/proposals/predictions.json")
    train(name, settings)
    metrics = evaluate(*given)
    assert ("mask" in metrics) == preset(name).mask_head.enabled and metrics["box"]["AR100"] >= 0
    found = predict(IMAGE, *given)
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
    people = tmp_path_factory.mktemp("people")
    (people / "images").symlink_to(PHOTOGRAPHS / "images")
    for split in ("train", "val"):
        (people / f"person_keypoints_{split}.json").write_text(json.dumps(content))
    return people


@pytest.mark.parametrize(("name", "settings"), each(of_people=True))
def test_keypoints_from_training_to_prediction(name: str, settings: Sequence[str], people: Path, here: Path) -> None:
    train(name, settings, **{"PATH/TO/coco": people})
    metrics = evaluate("--data", people)
    assert 0 <= metrics["keypoints"]["AP"] <= 1
    assert ("mask" in metrics) == preset(name).mask_head.enabled
    photograph = json.loads((people / "person_keypoints_val.json").read_text())["images"][0]["file_name"]
    found = predict(people / "images" / photograph)
    assert all(len(result["keypoints"]) == 3 * 17 for result in found)
    assert all(("segmentation" in result) == ("mask" in metrics) for result in found)


def test_without_proposals_there_is_one_clear_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = TRAIN["fast_r_cnn"][: TRAIN["fast_r_cnn"].index("--proposals")]
    assert main([*line, "--output", "outputs/refused"]) == 2
    error = capsys.readouterr().err
    assert "data.train_proposals: expected a file of COCO results" in error and "--proposals" in error
