"""`maskrcnn import-weights`: files of other libraries in, a model of ours out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from cli.conftest import Run
from maskrcnn import load
from maskrcnn.weights.checkpoint import read_checkpoint
from weights.foreign import synthetic


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    torch.save(synthetic.torchvision_detector(slots=4), tmp_path / "detector.pth")
    return tmp_path / "detector.pth"


def test_a_model_that_predicts(run: Run, detector: Path, tmp_path: Path) -> None:
    output = tmp_path / "ours.safetensors"
    code, out, err = run("import-weights", detector, output)
    assert code == 0, err
    assert "recognised a detector of torchvision: resnet18, fpn, rpn, box_head, mask_head" in out
    assert "none missing, none left over" in out and "3 classes: class_1, class_2, class_3" in out
    model = load(output, "cpu")
    assert model.categories.names == ("class_1", "class_2", "class_3")
    assert model.summary["imported_from"] == "detector.pth" and model.config.mask_head.paste == "torchvision"
    Image.new("RGB", (64, 48)).save(tmp_path / "black.png")
    assert model.predict(str(tmp_path / "black.png")).image_size == (48, 64)


def test_categories_and_settings(run: Run, detector: Path, tmp_path: Path) -> None:
    output, categories = tmp_path / "ours.safetensors", tmp_path / "categories.json"
    categories.write_text(json.dumps(["cat", "dog", "owl"]))
    code, out, _ = run(
        "import-weights", detector, output, "--categories", categories, "--set", "input.min_size=400"
    )  # fmt: skip
    assert code == 0 and "3 classes: cat, dog, owl" in out
    saved = read_checkpoint(output)
    assert saved.categories.names == ("cat", "dog", "owl") and saved.config.input.min_size == 400


def test_an_average_beside_the_weights(run: Run, detector: Path, tmp_path: Path) -> None:
    state = torch.load(detector)
    average = {f"module.{name}": tensor + 1 for name, tensor in state.items()}
    torch.save({"model": state, "model_ema": {"n_averaged": torch.tensor(9), **average}, "epoch": 3}, detector)
    output = tmp_path / "ours.safetensors"
    code, out, err = run("import-weights", detector, output)
    assert code == 0 and "took the weights under model; their average lies beside them: --key model_ema" in out, err
    plain = read_checkpoint(output).weights["rpn.head.objectness.bias"]
    code, out, _ = run("import-weights", detector, output, "--key", "model_ema")
    assert code == 0 and "an average over training steps" in out
    assert torch.equal(read_checkpoint(output).weights["rpn.head.objectness.bias"], plain + 1)


def test_a_backbone_alone_starts_trainings_but_does_not_predict(run: Run, tmp_path: Path) -> None:
    torch.save(synthetic.torchvision_resnet((2, 2, 2, 2), bottleneck=False), tmp_path / "resnet18.pth")
    output = tmp_path / "backbone.safetensors"
    code, out, _ = run("import-weights", tmp_path / "resnet18.pth", output)
    assert code == 0 and "recognised an ImageNet backbone of torchvision" in out and f"--init {output}" in out
    Image.new("RGB", (64, 48)).save(tmp_path / "black.png")
    code, _, err = run("predict", tmp_path / "black.png", "--model", output)
    assert code == 2 and "a backbone without heads, which cannot predict" in err


def test_config_of_detectron2(run: Run, shared: Path, tmp_path: Path) -> None:
    folder, output = shared / "golden" / "d2_fpn_r50_torchstyle", tmp_path / "ours.safetensors"
    settings = json.loads((folder / "golden.json").read_text())["config"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    code, out, err = run(
        "import-weights", folder / "model_final.pkl", output, "--detectron2-config", tmp_path / "config.yaml"
    )
    assert code == 0 and "assumed" not in out, err
    assert read_checkpoint(output).config.input.max_size == settings["INPUT"]["MAX_SIZE_TEST"]
    code, out, _ = run("import-weights", folder / "model_final.pkl", output)
    assert code == 0 and "assumed the style msra" in out
    assert "assumed" not in run("import-weights", folder / "model_final.pkl", output, "--style", "torch")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ours.pth",), "ends in .safetensors"),
        (("ours.safetensors", "--source", "detectron2"), "expected weights of detectron2"),
        (("ours.safetensors", "--source", "keras"), "invalid choice: 'keras'"),
        (("ours.safetensors", "--categories", "absent.json"), "absent.json: no such"),
        (("ours.safetensors", "--detectron2-config", "absent.yaml"), "no such file; expected detectron2's config.yaml"),
        (("ours.safetensors", "--set", "backbone.name=resnet50"), "model with other settings"),
        (("ours.safetensors", "--set", "backbone.nam=resnet50"), "did you mean backbone.name?"),
    ],
)
def test_mistakes(run: Run, detector: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = run("import-weights", detector, tmp_path / arguments[0], *arguments[1:])
    assert code == 2 and err.count("\n") == 1 and message in err
    assert not list(tmp_path.glob("ours*"))


def test_what_is_no_weight_file(run: Run, tmp_path: Path) -> None:
    code, _, err = run("import-weights", tmp_path / "absent.pth", tmp_path / "ours.safetensors")
    assert code == 2 and "no such file; expected a .pth" in err
