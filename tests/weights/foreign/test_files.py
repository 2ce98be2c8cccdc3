from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from maskrcnn.errors import UserError
from maskrcnn.weights.foreign import files
from maskrcnn.weights.foreign.files import read_foreign
from maskrcnn.weights.tensor_file import write_tensors

STATE = OrderedDict(a=torch.arange(6.0).reshape(2, 3), b=torch.tensor([1.5, 2.0]).half(), n=torch.tensor(3))


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def write(path: Path, kind: str, content: Any = STATE) -> Path:
    if kind == "safetensors":
        save_file(dict(content), path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({name: tensor.numpy() for name, tensor in content.items()}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    return path


@pytest.mark.parametrize("kind", ["zip", "old", "pickle", "safetensors"])
def test_every_container_gives_the_same_tensors(tmp_path: Path, kind: str) -> None:
    """The file's name says nothing; its first bytes do."""
    read = read_foreign(write(tmp_path / "weights", kind))
    assert read.tensors.keys() == STATE.keys() and read.author == ""
    for name, tensor in STATE.items():
        expected = tensor.float() if tensor.is_floating_point() else tensor
        assert torch.equal(read.tensors[name], expected) and read.tensors[name].dtype == expected.dtype


@pytest.mark.parametrize("kind", ["zip", "old"])
def test_what_training_scripts_write(tmp_path: Path, kind: str) -> None:
    """Weights beside optimiser and options, under the names that DistributedDataParallel gives."""
    content = {
        "model": {f"module.{name}": tensor for name, tensor in STATE.items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.02}]},
        "args": argparse.Namespace(lr=0.02, data_path="/data"),
        "epoch": 25,
    }
    assert read_foreign(write(tmp_path / "model_25.pth", kind, content)).tensors.keys() == STATE.keys()


@pytest.mark.parametrize("kind", ["zip", "old"])
@pytest.mark.parametrize("place", ["whole", "beside", "inside"])
def test_a_malicious_pth_is_refused(tmp_path: Path, kind: str, place: str) -> None:
    marker = tmp_path / "marker"
    evil = Evil(marker)
    content = {"whole": evil, "beside": {"model": STATE, "epoch": evil}, "inside": {"model": {**STATE, "x": evil}}}
    path = write(tmp_path / "model.pth", kind, content[place])
    with pytest.raises(UserError, match="refused, nothing of it was executed") as caught:
        read_foreign(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()  # it is dangerous indeed


def test_an_evil_pickle_under_another_name(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for name in ("model.pth", "model.safetensors", "model.pkl"):
        (tmp_path / name).write_bytes(pickle.dumps({"model": Evil(marker)}))
        with pytest.raises(UserError, match="refused"):
            read_foreign(tmp_path / name)
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["zip", "old", "pickle", "safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.99])
def test_truncated_anywhere(tmp_path: Path, kind: str, share: float) -> None:
    path = write(tmp_path / "weights", kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"weights: (expected|refused)") as caught:
        read_foreign(path)
    assert "\n" not in str(caught.value)


def test_what_is_not_a_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_foreign(tmp_path / "absent.pth")
    with pytest.raises(UserError, match="got a folder"):
        read_foreign(tmp_path)
    with pytest.raises(UserError, match="got list"):
        read_foreign(write(tmp_path / "list.pth", "zip", [1, 2]))
    with pytest.raises(UserError, match=r"there are none; found a \(int\)"):
        read_foreign(write(tmp_path / "numbers.pth", "zip", {"a": 1}))
    write_tensors(tmp_path / "ours.safetensors", {"a": torch.zeros(1)}, {})
    with pytest.raises(UserError, match="a file of maskrcnn already"):
        read_foreign(tmp_path / "ours.safetensors")


def test_what_lies_beside_the_weights_is_left_out(tmp_path: Path) -> None:
    content = {
        "a": torch.zeros(2),
        "sparse": torch.zeros(2, 2).to_sparse(),
        "text": "x",
        "meta": torch.zeros(1, device="meta"),
    }
    path = tmp_path / "model.pth"
    torch.save(content, path)
    assert read_foreign(path).tensors.keys() == {"a"}


def test_author(tmp_path: Path) -> None:
    path = tmp_path / "R-50.pkl"
    path.write_bytes(
        pickle.dumps({"model": {"a": np.zeros(2)}, "__author__": "torchvision", "matching_heuristics": True})
    )
    assert read_foreign(path).author == "torchvision"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><html><body>Quota exceeded</body></html>", "got an HTML page; download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "got a Git LFS pointer; get the file itself"),
        (b"", "got an empty file"),
        (b"\x89PNG\r\n\x1a\n", "got a PNG picture; check which file was given"),
        (b'{"a": 1}', "got a JSON file"),
    ],
)
@pytest.mark.parametrize("name", ["model.pth", "model.pkl", "model.safetensors"])
def test_files_of_another_kind_are_named(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"expected a .pth, .pkl or .safetensors file of weights, {what}"):
        read_foreign(tmp_path / name)


class Net(torch.nn.Linear):
    """Somebody's own class, which a whole pickled model asks for."""


def test_whole_models_are_refused_with_how_to_save_them(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    torch.save(Net(2, 2), tmp_path / "whole.pth")
    torch.save({"model": Net(2, 2)}, tmp_path / "inside.pth")
    torch.save(Net(2, 2), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "tensors.pkl").write_bytes(pickle.dumps(STATE))
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "script.pt"))
    recwarn.clear()
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(UserError, match=r"torch\.save\(model\.state_dict\(\), FILE\)") as caught:
            read_foreign(path)
        assert len(str(caught.value)) < 500
    assert not recwarn.list  # PyTorch has something of its own to say of TorchScript


def test_a_file_that_would_be_larger_in_memory(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "expanded.pth")
    with pytest.raises(UserError, match=r"a has shape \(1099511627776,\), of which the file holds a part"):
        read_foreign(tmp_path / "expanded.pth")
    path = write(tmp_path / "model.pth", "zip", {"a": torch.zeros(1 << 20)})
    with zipfile.ZipFile(path) as stored, zipfile.ZipFile(tmp_path / "z.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    with pytest.raises(UserError, match="got a compressed archive"):
        read_foreign(tmp_path / "z.pth")


def test_which_weights_were_taken_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "model.pth", "zip", {"model": STATE, "model_ema": {**STATE, "a": STATE["a"] + 1}})
    plain, average = read_foreign(path), read_foreign(path, "model_ema")
    assert "--key model_ema" in plain.remarks[0] and average.remarks == ()
    assert torch.equal(average.tensors["a"], plain.tensors["a"] + 1)
    with pytest.raises(UserError, match=r"model\.pth: --key teacher: expected one"):
        read_foreign(path, "teacher")


def test_a_tensor_larger_than_its_numbers_is_refused(tmp_path: Path) -> None:
    """With a stride of 0, four bytes stand for gigabytes."""
    path = write(tmp_path / "model.pth", "zip", {"a": torch.zeros(1).expand(1 << 36)})
    with pytest.raises(UserError, match=r"model\.pth: "):
        read_foreign(path)


@pytest.mark.parametrize("kind", ["zip", "pickle"])
def test_numbers_that_are_mentioned_very_often_are_refused(tmp_path: Path, kind: str) -> None:
    """100 KB that would be 1 GB once each name had its own copy."""
    shared = torch.zeros(25_000)
    path = tmp_path / "model.pth"
    if kind == "zip":
        torch.save({str(i): shared for i in range(10_000)}, path)
    else:
        array = shared.numpy()
        path.write_bytes(pickle.dumps({str(i): array for i in range(10_000)}))
    with pytest.raises(UserError, match=r"model\.pth: .*claim"):
        read_foreign(path)


@pytest.mark.parametrize("kind", ["zip", "pickle", "safetensors"])
def test_very_many_tensors_are_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_TENSORS", 2)
    with pytest.raises(UserError, match=r"weights: .*(at most 2|weights that claim)"):
        read_foreign(write(tmp_path / "weights", kind))
