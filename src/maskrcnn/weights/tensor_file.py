"""Named tensors and a JSON object in one .safetensors file: nothing is ever unpickled.

The JSON lies in the file's own header under the key "maskrcnn", beside a checksum of everything, since a
.safetensors file alone shows only that it was cut short, not that its bytes changed. Equal contents give equal files.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.files import write_atomically

KEY = "maskrcnn"


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


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the header that `write_tensors` stored in `path`.

    Raises:
        UserError: the file is missing, cut short, damaged, in another format, or not written by this package.
    """
    try:
        with safe_open(path, "pt") as file:
            checksum, header = _parse_metadata(path, file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise UserError(f"{path}: expected a .safetensors file, but there is none") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: {_what_is_wrong(path, error)}") from error
    if checksum != _checksum(tensors, header):
        raise UserError(f"{path}: the contents do not match their checksum, so the file is damaged; use another copy")
    return tensors, header


def is_tensor_file(path: Path) -> bool:
    """Whether `write_tensors` wrote this file; no answer to whether it is whole."""
    try:
        with safe_open(path, "pt") as file:
            return KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _parse_metadata(path: Path, metadata: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """The checksum and the header."""
    try:
        content = json.loads(metadata[KEY])
        return int(content["crc32"]), dict(content["header"])
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"{path}: these weights were not written by maskrcnn (no settings and categories in the file); "
            "convert them with `maskrcnn import-weights`"
        ) from None


def _what_is_wrong(path: Path, error: Exception) -> str:
    if path.is_dir():
        return "expected a .safetensors file, got a directory"
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as unreadable:
        return f"the file cannot be read: {unreadable.strerror}"
    if start.startswith((b"PK", b"\x80")):
        return "expected .safetensors, got a zip or pickle (a .pth?); convert it with `maskrcnn import-weights`"
    return f"not a complete .safetensors file ({error}); it is cut short or something else, use another copy"


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> int:
    """CRC-32 of the header and of the tensors' names and bytes, in the order of the names."""
    value = zlib.crc32(json.dumps(header).encode())
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(_bytes(tensors[name]), value)
    return value


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
