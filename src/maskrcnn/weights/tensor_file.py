"""Named tensors and a JSON object in one .safetensors file: nothing is ever unpickled.

The JSON lies in the file's own header under the key "maskrcnn", beside a checksum of everything, since a
.safetensors file alone shows only that it was cut short, not that its bytes changed. Equal contents give equal files.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.file_kinds import PICKLE, SAFETENSORS, ZIP, known_kind
from maskrcnn.files import first_bytes, unexpected, write_atomically
from maskrcnn.text import one_line

KEY = "maskrcnn"
MAX_HEADER = 16 * 2**20
"""Bytes of names, shapes, settings and categories."""
MAX_TENSORS = 20_000
"""In a file; the largest models have a thousand, the state of their training four times as many."""

_EXPECTED = "a .safetensors file"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write `tensors` and the JSON-able `header` to `path`, atomically.

    Raises:
        UserError: the system refused; `path` is as it was before.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # one key, since safetensors writes several in any order
    metadata = {KEY: json.dumps({"crc32": _checksum(plain, header), "header": header})}

    def write(partial: Path) -> None:
        try:
            save_file(plain, partial, metadata)
            partial.chmod(0o644)  # safetensors lets only the owner read
        except SafetensorError as error:  # how safetensors reports a full disk
            raise OSError(str(error)) from error

    write_atomically(path, write)


@dataclass(frozen=True)
class TensorFile:
    """What a file says of itself before its tensors are read.

    Attributes:
        path: the file.
        header: what `write_tensors` was given.
        shapes: of the tensors, by name.
    """

    path: Path
    header: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    _checksum: int

    def tensors(self) -> dict[str, Tensor]:
        """All of them, on the CPU; as many bytes as the file has.

        Raises:
            UserError: the file is damaged.
        """
        with _opened(self.path) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        if self._checksum != _checksum(tensors, self.header):
            raise UserError(
                f"{self.path}: the contents do not match their checksum, so the file is damaged; use another copy"
            )
        return tensors


def open_tensors(path: Path) -> TensorFile:
    """The header of what `write_tensors` stored in `path`, and the shapes of the tensors.

    Raises:
        UserError: the file is missing, cut short, damaged, in another format, not written by this package, or says more
            than `MAX_HEADER` and `MAX_TENSORS` allow.
    """
    with _opened(path) as file:
        checksum, header = _parse_metadata(path, file.metadata() or {})
        names = file.keys()
        if len(names) > MAX_TENSORS:
            raise UserError(f"{path}: expected a model of at most {MAX_TENSORS} tensors, got {len(names)}")
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    return TensorFile(path, header, shapes, checksum)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the header that `write_tensors` stored in `path`. Raises as `open_tensors`."""
    file = open_tensors(path)
    return file.tensors(), file.header


def is_tensor_file(path: Path) -> bool:
    """Whether `write_tensors` wrote this file; no answer to whether it is whole."""
    try:
        with _opened(path) as file:
            return KEY in (file.metadata() or {})
    except UserError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A .safetensors file; what goes wrong with it is a `UserError`."""
    start = first_bytes(path, _EXPECTED)
    if int.from_bytes(start[:8], "little") > MAX_HEADER:
        raise _not_safetensors(path, start, f"its header would be larger than {MAX_HEADER} bytes")
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise _not_safetensors(path, start, str(error)) from error


def _parse_metadata(path: Path, metadata: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """The checksum and the header."""
    try:
        content = json.loads(metadata[KEY])
        return int(content["crc32"]), dict(content["header"])
    except (ArithmeticError, KeyError, RecursionError, TypeError, ValueError):
        raise UserError(
            f"{path}: these weights were not written by maskrcnn (no settings and categories in the file); "
            "convert them with `maskrcnn import-weights`"
        ) from None


def _not_safetensors(path: Path, start: bytes, reason: str) -> UserError:
    kind = known_kind(start)
    if kind is not None and kind in (PICKLE, ZIP):
        advice = "convert it with `maskrcnn import-weights`"
        return UserError(f"{path}: expected {_EXPECTED}, got {kind.what}; {advice}")
    if kind in (None, SAFETENSORS):
        return UserError(f"{path}: not a complete .safetensors file ({one_line(reason)}); use another copy")
    return unexpected(path, start, _EXPECTED, "check which file was given")


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> int:
    """CRC-32 of the header and of the tensors' names and bytes, in the order of the names."""
    value = zlib.crc32(json.dumps(header).encode())
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(_bytes(tensors[name]), value)
    return value


def _bytes(tensor: Tensor) -> memoryview:
    if not tensor.numel():  # its strides may be any
        return memoryview(b"")
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
