"""Other libraries' weight files: tensors by name, whatever the container; nothing in a file is executed.

A file is told by its first bytes, not by its name: `.pth` (a zip, or the older form), a pickle, or `.safetensors`.
"""

from __future__ import annotations

import argparse
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.files import first_bytes, unexpected
from maskrcnn.text import one_line
from maskrcnn.weights.foreign.pickled import read_pickle
from maskrcnn.weights.foreign.wrappers import find_weights
from maskrcnn.weights.tensor_file import KEY, MAX_HEADER, MAX_TENSORS

_ZIP = b"PK\x03\x04"
_OLD_PTH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""`torch.save` before PyTorch 1.6 began with a pickle of this number."""

_PICKLE = (b"\x80", b"(", b"}", b"]", b"c")
"""How pickles of any protocol begin, with a dictionary or with something else that is then refused by name."""

_EXPECTED = "a .pth, .pkl or .safetensors file of weights"
_SAVE = "torch.save(model.state_dict(), FILE)"


@dataclass(frozen=True)
class ForeignFile:
    """The weights under the names of the library that wrote them.

    Attributes:
        tensors: by name, on the CPU; floating ones are float32.
        author: what detectron2's files say of their origin; else empty.
        remarks: which of several sets of weights was taken, a line each.
    """

    tensors: dict[str, Tensor]
    author: str = ""
    remarks: tuple[str, ...] = ()


def read_foreign(path: Path, key: str = "") -> ForeignFile:
    """The tensors of a `.pth`, `.pkl` or `.safetensors` file.

    Args:
        path: the file.
        key: under which of its keys they lie; empty: where training scripts usually put them.

    Raises:
        UserError: the file is missing, damaged, of another kind, one of our own, asks for more than plain data, or
            holds no tensors.
    """
    content = _read(path)
    try:
        weights = find_weights(content, key)
        _require_bounded(weights.tensors, path.stat().st_size)
        tensors = {
            name: tensor for name, value in weights.tensors.items() if (tensor := _tensor(name, value)) is not None
        }
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return ForeignFile(tensors, str(content.get("__author__", "")), tuple(weights.remarks))


def _read(path: Path) -> Mapping[str, Any]:
    """The dictionary that a file of any of the known kinds holds."""
    start = first_bytes(path, _EXPECTED)
    if start.startswith((_ZIP, _OLD_PTH)):
        return _read_torch(path)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= MAX_HEADER:  # eight bytes of length, then JSON
        return _read_safetensors(path)
    if start.startswith(_PICKLE):
        return read_pickle(path)
    raise unexpected(path, start, _EXPECTED, "check which file was given")


def _read_torch(path: Path) -> Mapping[str, Any]:
    """What `torch.save` wrote; the options of a training script (`argparse.Namespace`) may be in it: mere data."""
    _check_archive(path)
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of any kind, since a damaged file can go wrong anywhere in PyTorch
        raise UserError(f"{path}: {_reason(error)}") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: expected weights by name (a state_dict), got {type(content).__name__}; save {_SAVE}")
    return content


def _check_archive(path: Path) -> None:
    """PyTorch compresses nothing and stores each weight once: what is in a file is as large as the file, or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # the older form, or damaged, of which PyTorch will say more
    if any(member.filename.endswith("/constants.pkl") for member in members):
        raise UserError(
            f"{path}: expected weights by name, got a TorchScript program; save the state_dict of the model: {_SAVE}"
        )
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise UserError(f"{path}: expected a .pth file as PyTorch writes it, got a compressed archive; unpack it first")
    if sum(member.file_size for member in members) > path.stat().st_size or len(members) > 2 * MAX_TENSORS:
        raise UserError(
            f"{path}: expected a .pth file as PyTorch writes it, of at most {MAX_TENSORS} tensors; this archive claims "
            "more than it holds, or holds more"
        )


def _reason(error: Exception) -> str:
    """One line in place of PyTorch's many, which end in advice on how to switch its protection off."""
    message = str(error)
    if asked_for := re.search(r"GLOBAL\s+(\S{1,80})", message):
        return (
            f"refused, nothing of it was executed: this file asks for {one_line(asked_for[1])}; expected tensors and "
            f"plain data alone; of a whole model, save the state_dict: {_SAVE}"
        )
    return f"expected a whole .pth file, but PyTorch cannot read it ({one_line(message)})"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            if KEY in (file.metadata() or {}):
                raise UserError(f"{path}: a file of maskrcnn already; use it as it is")
            names = file.keys()
            if len(names) > MAX_TENSORS:
                raise UserError(f"{path}: expected at most {MAX_TENSORS} weights, got {len(names)}")
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: expected a whole .safetensors file, but: {error}") from None


def _require_bounded(tensors: Mapping[str, Any], file_size: int) -> None:
    """Pickles can mention one array a million times; weights that several layers share are mentioned a few times."""
    claimed = sum(map(_own_bytes, tensors.values()))
    if claimed > 8 * file_size + 2**20 or len(tensors) > MAX_TENSORS:
        raise UserError(
            f"{len(tensors)} weights that claim {claimed / 1e9:.1f} GB in a file of {file_size / 1e9:.1f} GB; expected "
            f"at most {MAX_TENSORS} weights, each with its own numbers"
        )


def _own_bytes(value: Any) -> int:
    if isinstance(value, Tensor) and value.layout == torch.strided:
        return min(value.numel() * value.element_size(), value.untyped_storage().nbytes())
    return value.nbytes if isinstance(value, np.ndarray) else 0


def _tensor(name: str, value: Any) -> Tensor | None:
    """A dense tensor, float32 if floating; None for anything else that lies beside the weights."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=True))
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized or value.is_meta:
        return None
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise UserError(
            f"{one_line(name)} has shape {tuple(value.shape)}, of which the file holds a part; it is damaged"
        )
    return value.detach().float() if value.is_floating_point() else value.detach()
