from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.presets import preset
from maskrcnn.settings import config_to_dict
from maskrcnn.structures import Categories
from maskrcnn.weights import load_model, save_model
from maskrcnn.weights.tensor_file import TensorFile, read_tensors, write_tensors

CATEGORIES = Categories((1, 7), ("cell", "Käfer"))


@pytest.fixture(scope="module")
def config() -> Config:
    return preset("tiny")


@pytest.fixture(scope="module")
def model(config: Config) -> MaskRCNN:
    return build_model(config, 2)


@pytest.fixture
def path(tmp_path: Path, model: MaskRCNN, config: Config) -> Path:
    save_model(tmp_path / "model.safetensors", model, config, CATEGORIES, {"steps": 5, "metrics": {"AP": 0.5}})
    return tmp_path / "model.safetensors"


def rewrite(path: Path, **changes: Any) -> None:
    """Change entries of the header; None removes one."""
    tensors, header = read_tensors(path)
    header = {key: value for key, value in (header | changes).items() if value is not None}
    write_tensors(path, tensors, header)


def test_the_file_alone_gives_back_everything(path: Path, model: MaskRCNN, config: Config) -> None:
    loaded, loaded_config, categories, summary = load_model(path)
    assert loaded_config == config
    assert categories == CATEGORIES
    assert summary == {"steps": 5, "metrics": {"AP": 0.5}}
    assert not loaded.training
    weights = model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in loaded.state_dict().items())


def test_half_precision_is_half_the_size_and_loads_as_float32(path: Path, model: MaskRCNN, config: Config) -> None:
    half = path.with_name("half.safetensors")
    save_model(half, model, config, CATEGORIES, {}, half=True)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    loaded = load_model(half).model.state_dict()
    for name, tensor in model.state_dict().items():
        assert loaded[name].dtype == tensor.dtype
        expected = tensor.half().float() if tensor.ndim > 1 else tensor
        assert torch.equal(loaded[name], expected), name


def test_the_loaded_model_detects_what_the_saved_one_does(path: Path, model: MaskRCNN) -> None:
    image = torch.rand(3, 64, 80, generator=torch.Generator().manual_seed(0))
    before, after = model.eval().predict([image])[0], load_model(path).model.predict([image])[0]
    assert torch.equal(before.boxes, after.boxes) and torch.equal(before.scores, after.scores)


def test_a_newer_format_asks_for_an_update(path: Path) -> None:
    rewrite(path, format=99, package="9.9")
    with pytest.raises(UserError, match=r"model\.safetensors: .*format 99 by maskrcnn 9\.9.*update"):
        load_model(path)


def test_an_older_format_says_who_wrote_it(path: Path) -> None:
    rewrite(path, format=1, package="0.0.9")
    with pytest.raises(UserError, match=r"format 1 by maskrcnn 0\.0\.9.*reads format \d+; use maskrcnn 0\.0\.9, or"):
        load_model(path)


def test_a_training_state_is_not_a_model(path: Path) -> None:
    rewrite(path, format=None)
    with pytest.raises(UserError, match=r"model\.safetensors: not a model file"):
        load_model(path)


@pytest.mark.parametrize("key", ["config", "categories", "summary"])
def test_missing_metadata_is_named(path: Path, key: str) -> None:
    rewrite(path, **{key: None})
    with pytest.raises(UserError, match=rf"model\.safetensors: .*{key}"):
        load_model(path)


@pytest.mark.parametrize(
    "changes", [{"config": 3}, {"categories": "x"}, {"categories": [{"id": "one"}]}, {"summary": 5}]
)
def test_nonsense_metadata_names_the_file(path: Path, changes: dict[str, Any]) -> None:
    rewrite(path, **changes)
    with pytest.raises(UserError, match=r"model\.safetensors"):
        load_model(path)


def test_an_unknown_setting_names_the_file(path: Path) -> None:
    rewrite(path, config={"rpn": {"nms_treshold": 0.5}})
    with pytest.raises(UserError, match=r"model\.safetensors.*nms_threshold"):
        load_model(path)


def test_another_number_of_classes_is_a_shape_mismatch(path: Path) -> None:
    rewrite(path, categories=[{"id": i, "name": str(i)} for i in range(5)])
    with pytest.raises(UserError, match=r"model\.safetensors: box_head\.\S+ has shape"):
        load_model(path)


def test_missing_and_unknown_weights_are_named(path: Path) -> None:
    tensors, header = read_tensors(path)
    name, tensor = tensors.popitem()
    write_tensors(path, tensors, header)
    with pytest.raises(UserError, match=f"lacks {name}"):
        load_model(path)
    write_tensors(path, tensors | {name: tensor, "stranger": torch.zeros(1)}, header)
    with pytest.raises(UserError, match="unknown weight stranger"):
        load_model(path)


def test_loading_brings_no_compiler_along() -> None:
    """The first random number on device "meta" would import one: 100 MiB, a second and a half."""
    code = (
        "import sys, maskrcnn; maskrcnn.load('nuclei')\n"
        "assert not {'triton', 'sympy', 'torch._dynamo'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.tensor(float("nan")), "NaN or infinite"),
        (torch.tensor(1), "of type int64"),
        (torch.tensor(1j), "complex64"),
    ],
)
def test_weights_that_are_no_finite_numbers(path: Path, value: torch.Tensor, message: str) -> None:
    tensors, header = read_tensors(path)
    name = "rpn.head.objectness.bias"
    write_tensors(path, {**tensors, name: value.expand(tensors[name].shape)}, header)
    with pytest.raises(UserError, match=rf"model\.safetensors: {name} .*{message}"):
        load_model(path)


def test_the_state_of_a_training_is_no_model(path: Path) -> None:
    rewrite(path, format=None, training_state=2)
    with pytest.raises(UserError, match=r"expected a model, got the state of a training.*best\.safetensors"):
        load_model(path)


HOSTILE = {
    "millions of layers": {"rpn": {"num_convs": 10**7}},
    "wide layers": {"fpn": {"channels": 10**9}},
    "wide fully connected layers": {"box_head": {"fc_channels": 10**9}},
    "large regions": {"box_head": {"pooled_size": 2000}, "mask_head": {"kind": "mlp", "pooled_size": 2000}},
    "wide groups": {"backbone": {"name": "resnext50_1000000000x1000000000d"}},
    "very many anchors": {"anchors": {"sizes": [[8.0] * 10**5] * 5}},
    "as large as is allowed": {"rpn": {"num_convs": 64}, "fpn": {"channels": 8192}, "box_head": {"pooled_size": 224}},
}


@pytest.mark.parametrize("settings", HOSTILE.values(), ids=HOSTILE)
def test_what_a_file_claims_is_compared_before_anything_is_built(
    path: Path, config: Config, settings: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither are the tensors read, nor is there memory for the network that the settings describe."""
    claimed = config_to_dict(config)
    rewrite(path, config={name: section | settings.get(name, {}) for name, section in claimed.items()})
    monkeypatch.setattr(TensorFile, "tensors", lambda self: pytest.fail("read"))
    with pytest.raises(UserError, match=r"model\.safetensors: ") as caught:
        load_model(path)
    assert len(str(caught.value)) < 500


def test_very_many_classes_and_keypoints_are_compared_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [{"id": 1, "name": "person", "keypoints": [str(i) for i in range(50_000)], "skeleton": []}]
    tensors, header = read_tensors(path)
    monkeypatch.setattr(TensorFile, "tensors", lambda self: pytest.fail("read"))
    for categories in ([{"id": i, "name": str(i)} for i in range(50_000)], people):
        write_tensors(path, tensors, header | {"categories": categories})
        with pytest.raises(UserError, match=r"has shape|lacks"):
            load_model(path)
