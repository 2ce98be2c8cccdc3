from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.weights import tensor_file
from maskrcnn.weights.tensor_file import is_tensor_file, open_tensors, read_tensors, write_tensors


def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "float": torch.randn(3, 4, generator=generator),
        "channels_last": torch.randn(2, 3, 4, 5, generator=generator).to(memory_format=torch.channels_last),
        "half": torch.randn(5, generator=generator).half(),
        "bfloat": torch.randn(5, generator=generator).bfloat16(),
        "integer": torch.tensor(7),
        "empty": torch.zeros((0, 4)),
        "empty with strides": torch.zeros(6)[::2][:0],
        "special": torch.tensor([float("nan"), float("inf"), -0.0]),
    }


def test_round_trip_is_bit_identical(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    write_tensors(path, tensors(), {"step": 3, "names": ["ä", None]})
    read, header = read_tensors(path)
    assert header == {"step": 3, "names": ["ä", None]}
    assert read.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert read[name].dtype == tensor.dtype and read[name].shape == tensor.shape
        assert (
            read[name].numpy(force=True).tobytes() == tensor.contiguous().numpy().tobytes()
            if (tensor.dtype != torch.bfloat16)
            else torch.equal(read[name], tensor)
        )


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_tensors(tmp_path / "absent.safetensors")
    with pytest.raises(UserError, match="got a folder"):
        read_tensors(tmp_path)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="got an empty file; download it again"):
        read_tensors(tmp_path / "x.safetensors")


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
def test_truncated_anywhere(tmp_path: Path, share: float) -> None:
    path = tmp_path / "file.safetensors"
    write_tensors(path, tensors(), {})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"file\.safetensors: not a complete"):
        read_tensors(path)


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    write_tensors(path, {"a": torch.arange(6.0)}, {"step": 3})
    whole = path.read_bytes()
    (header_size,) = struct.unpack("<Q", whole[:8])
    for position in range(8 + header_size, len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="checksum"):
            read_tensors(path)


def test_mutated_headers_never_end_in_another_exception(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    write_tensors(path, {"a": torch.arange(6.0)}, {"step": 3})
    whole = path.read_bytes()
    (header_size,) = struct.unpack("<Q", whole[:8])
    for position in range(8 + header_size):
        damaged = bytearray(whole)
        damaged[position] ^= 0x01
        path.write_bytes(damaged)
        try:
            read_tensors(path)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("content", [b"PK\x03\x04rest of a zip", b"\x80\x02rest of a pickle"])
def test_a_pickle_is_not_opened(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.pth: .*got a (zip archive|pickle).*import-weights"):
        read_tensors(path)


def test_weights_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    for metadata in (None, {"format": "pt"}, {"maskrcnn": "not json"}, {"maskrcnn": json.dumps([1])}):
        save_file({"a": torch.zeros(1)}, path, metadata)
        with pytest.raises(UserError, match=r"foreign\.safetensors: .*not written by maskrcnn"):
            read_tensors(path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's always full device")
def test_a_full_disk_while_writing_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.safetensors"
    write_tensors(path, {"a": torch.zeros(1)}, {"version": "old"})
    real = save_file

    def to_full_disk(content: dict[str, Tensor], partial: Path, metadata: dict[str, str]) -> None:
        real(content, "/dev/full", metadata)

    monkeypatch.setattr("maskrcnn.weights.tensor_file.save_file", to_full_disk)
    with pytest.raises(UserError, match=r"file\.safetensors"):
        write_tensors(path, {"a": torch.zeros(1000)}, {"version": "new"})
    assert read_tensors(path)[1] == {"version": "old"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"<!DOCTYPE html><html>", "an HTML page; download it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "a Git LFS pointer; get the file itself with: git lfs pull",
        ),
        (b"\x89PNG\r\n\x1a\n", "a PNG picture; check which file was given"),
    ],
)
def test_what_is_something_else_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UserError, match=f"x: expected a .safetensors file, got {what}"):
        read_tensors(tmp_path / "x")


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", 2**40) + b"{" * 100)
    with pytest.raises(UserError, match=r"x: not a complete \.safetensors file \(its header would be larger"):
        read_tensors(tmp_path / "x")


def test_too_many_tensors_are_counted_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_file, "MAX_TENSORS", 6)
    write_tensors(tmp_path / "x", tensors(), {})
    with pytest.raises(UserError, match="x: expected a model of at most 6 tensors, got 8"):
        open_tensors(tmp_path / "x")


def test_shapes_are_known_before_the_tensors_are_read(tmp_path: Path) -> None:
    write_tensors(tmp_path / "x", tensors(), {"step": 3})
    file = open_tensors(tmp_path / "x")
    assert file.header == {"step": 3}
    assert file.shapes == {name: tuple(tensor.shape) for name, tensor in tensors().items()}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(UserError, match=r"expected a \.safetensors file, got a device or a pipe"):
        read_tensors(tmp_path / "x")
    assert not is_tensor_file(tmp_path / "x")


@pytest.mark.parametrize("header", [b"[" * 5000, b'{"crc32": 1e999, "header": {}}', b'{"crc32": 1, "header": 3}'])
def test_hostile_metadata(tmp_path: Path, header: bytes) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "x", {"maskrcnn": header.decode()})
    with pytest.raises(UserError, match="not written by maskrcnn"):
        read_tensors(tmp_path / "x")
