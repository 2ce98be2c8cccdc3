"""Named tensors and a JSON object in one .safetensors file: nothing is ever unpickled.

The JSON lies in the file's own header under the key "maskrcnn", beside a checksum of the tensors, since a
.safetensors file alone shows only that it was cut short, not that its bytes changed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
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
    metadata = {KEY: json.dumps(header), "crc32": str(_checksum(plain))}

    def write(partial: Path) -> None:
        try:
            save_file(plain, partial, metadata)
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
            metadata = file.metadata() or {}
            header = _parse_header(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except FileNotFoundError:
        raise UserError(f"{path}: expected a .safetensors file, but there is none") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: {_what_is_wrong(path, error)}") from error
    if metadata.get("crc32") != str(_checksum(tensors)):
        raise UserError(
            f"{path}: the contents do not match their checksum, so the file is damaged; use another copy"
        )
    return tensors, header


def _parse_header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        header = json.loads(metadata[KEY])
    except (KeyError, ValueError):
        header = None
    if not isinstance(header, dict):
        raise UserError(
            f"{path}: these weights were not written by maskrcnn (no settings and categories in the file); "
            "convert them with `maskrcnn import-weights`"
        )
    return header


def _what_is_wrong(path: Path, error: Exception) -> str:
    if path.is_dir():
        return "expected a .safetensors file, got a directory"
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as unreadable:
        return f"the file cannot be read: {unreadable.strerror}"
    if start.startswith((b"PK", b"\x80")):
        return "expected a .safetensors file, got a zip or pickle (a .pth?); convert it with `maskrcnn import-weights`"
    return f"not a complete .safetensors file ({error}); it is cut short or something else, use another copy"


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of names and bytes, in the order of the names."""
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(_bytes(tensors[name]), value)
    return value


def _bytes(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
