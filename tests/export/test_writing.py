"""Export from the command line to the file, and back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import maskrcnn
from export.exported import POSED, network_of, noise, small
from maskrcnn.acceleration import for_prediction
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.export import verification
from maskrcnn.export.writing import export_network, require_place
from maskrcnn.runtime.contract import KEY
from maskrcnn.runtime.model import ExportedModel


def test_the_file_is_a_model(trained: Path, exported: Path) -> None:
    model, reference = maskrcnn.load(exported), maskrcnn.load(trained, device="cpu")
    assert isinstance(model, ExportedModel) and model.categories == POSED and model.config == reference.config
    assert model.summary == {"steps": 7} and list(model.branches) == ["mask_head"]
    assert repr(model).endswith("on onnxruntime, 2 classes: round, long)")
    images = [noise(50, 80), noise(200, 120, seed=1), np.full((40, 40, 3), 9, np.uint8)]
    for batch_size in (1, 3):
        pairs = zip(
            model.stream(images, batch_size, score_threshold=0.3),
            reference.stream(images, batch_size, score_threshold=0.3),
            strict=True,
        )
        for found, expected in pairs:
            assert found.names == expected.names and found.image_size == expected.image_size
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
            for mine, theirs in zip(found.masks(), expected.masks(), strict=True):
                assert (mine & theirs).sum() >= 0.995 * (mine | theirs).sum()


def test_what_stands_in_and_beside_the_file(exported: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    pixels = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in pixels] == ["batch", 3, "height", "width"]
    inside = json.loads({entry.key: entry.value for entry in model.metadata_props}[KEY])
    assert inside == json.loads(exported.with_suffix(".json").read_text())
    assert list(inside["inputs"]) == ["max_detections", "pixels", "score_threshold", "sizes"]
    assert inside["preprocessing"]["min_size"] == 96 and inside["mask_paste"] == {"rule": "exact", "threshold": 0.5}
    assert inside["package"] == maskrcnn.__version__ and inside["categories"][0]["name"] == "round"
    measured = inside["measured"]
    assert measured["objects"] > 100 and measured["strays"] <= 0.005 * measured["objects"]
    assert measured["worst"].keys() == {"pixels", "box", "score", "mask"}
    assert all(value <= verification.LIMITS[name] for name, value in measured["worst"].items())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json", b'{"images": [], "annotations": []}'),  # labels of the user's
        ("x.json", b"[1]"),
        ("x.json", b"no JSON"),
        ("x.onnx", b"no ONNX"),
        ("x.onnx", b"\x08\x07"),  # the start of a model, of another program
    ],
)
def test_files_of_others_are_not_replaced(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    said: list[str] = []
    with pytest.raises(UserError, match=rf"{name}: would be replaced, .* delete it, or name another file$"):
        export_network(network_of(small()), small(), POSED, tmp_path / "x.onnx", say=said.append)
    assert not said and [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == content


def test_an_earlier_export_may_be_replaced(exported: Path, tmp_path: Path) -> None:
    for file in (exported, exported.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    assert require_place(tmp_path / exported.name) == tmp_path / exported.name


def test_what_is_left_of_an_earlier_export_is_to_be_deleted(exported: Path, tmp_path: Path) -> None:
    """Cut off by a full disk: nobody can tell who wrote it."""
    damaged = tmp_path / exported.name
    damaged.write_bytes(exported.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"model\.onnx: would be replaced, .* delete it, or name another file$"):
        require_place(damaged)
    damaged.unlink()
    assert require_place(damaged) == damaged


def test_another_model_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One weight that is recorded other than it is: nothing is left behind."""
    from maskrcnn.export import writing

    config = small()
    network = network_of(config)

    def tampered(network: object) -> object:
        copy = plain_copy(network)  # type: ignore[arg-type]
        copy.box_head.deltas.bias.data.add_(0.01)  # type: ignore[union-attr]
        return copy

    plain_copy = writing.plain_copy
    monkeypatch.setattr(writing, "plain_copy", tampered)
    monkeypatch.setattr(verification, "SHAPES", ((64, 96),))
    with pytest.raises(UserError, match=r"differs from the network: .*box .* nothing was written"):
        export_network(network, config, POSED, tmp_path / "model.onnx", say=str)
    assert list(tmp_path.iterdir()) == []


def without_rpn(config: Config) -> Config:
    return replace(config, rpn=replace(config.rpn, enabled=False))


def with_roi_pool(config: Config) -> Config:
    return replace(config, roi=replace(config.roi, operator="pool"))


def with_little_padding(config: Config) -> Config:
    return replace(config, input=replace(config.input, size_divisor=16))


@pytest.mark.parametrize(
    ("change", "expected"),
    [(without_rpn, "without RPN"), (with_roi_pool, "expected RoIAlign"), (with_little_padding, "a multiple of 32")],
)
def test_what_is_refused(tmp_path: Path, change: object, expected: str) -> None:
    config = change(small())  # type: ignore[operator]
    with pytest.raises(UserError, match=expected):
        export_network(network_of(config), config, POSED, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_was_made_fast_is_refused(tmp_path: Path) -> None:
    config = small()
    with pytest.raises(UserError, match="accelerate=False"):
        export_network(for_prediction(network_of(config)), config, POSED, tmp_path / "model.onnx")
    with pytest.raises(UserError, match=r"ends in \.onnx"):
        export_network(network_of(config), config, POSED, tmp_path / "model.pb")


_WITHOUT_PYTORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT: raise ModuleNotFoundError(f"No module named {name!r}", name=name)
ABSENT = {"torch", "onnx", "openvino", "safetensors", "hotcoco", "yaml", "rich", "pycocotools", "pandas"}
sys.meta_path.insert(0, Absent())
from maskrcnn.cli.main import main
model, image, output = sys.argv[1:]
assert main(["predict", image, "--model", model, "--output", output, "--score-threshold", "0.3", "--debug"]) == 0
assert main(["predict", image, "--output", output]) == 2
import maskrcnn
found = maskrcnn.load(model).predict(image, score_threshold=0.3)
found.save(output + "/again.png")
assert len(found) == len(found.to_coco()) == len(found.masks()) == len(found.polygons()) > 0
assert not ABSENT & {name.partition(".")[0] for name in sys.modules}
"""


def test_without_pytorch(exported: Path, tmp_path: Path) -> None:
    """Nothing but what requirements-runtime.txt names is there: results and pictures all the same."""
    image, output = tmp_path / "image.png", tmp_path / "output"
    Image.fromarray(noise(50, 80)).save(image)
    command = [sys.executable, "-c", _WITHOUT_PYTORCH, str(exported), str(image), str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "error: PyTorch is not installed, so exported models alone (.onnx) can be used" in done.stderr
    assert len(json.loads((output / "predictions.json").read_text())) > 0
    assert {path.name for path in output.glob("*.png")} == {"image.png", "again.png"}
