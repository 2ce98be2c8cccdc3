"""Other libraries' weight files: tensors by name, whatever the container; nothing in a file is executed.

A file is told by its first bytes, not by its name: `.pth` (a zip, or the older form), a pickle, or `.safetensors`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.weights.foreign.pickled import read_pickle
from maskrcnn.weights.tensor_file import KEY

_ZIP = b"PK\x03\x04"
_OLD_PTH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""`torch.save` before PyTorch 1.6 began with a pickle of this number."""

_INNER = ("model", "state_dict", "blobs")
"""Where training scripts (`model`), other frameworks and Caffe2 (`blobs`) put the weights inside a file."""


@dataclass(frozen=True)
class ForeignFile:
    """The weights under the names of the library that wrote them.

    Attributes:
        tensors: by name, on the CPU; floating ones are float32.
        author: what detectron2's files say of their origin; else empty.
    """

    tensors: dict[str, Tensor]
    author: str = ""


def read_foreign(path: Path) -> ForeignFile:
    """The tensors of a `.pth`, `.pkl` or `.safetensors` file.

    Raises:
        UserError: the file is missing, damaged, of another kind, one of our own, asks for more than plain data, or
            holds no tensors.
    """
    content = _read(path)
    inner = next((content[name] for name in _INNER if isinstance(content.get(name), Mapping)), content)
    tensors = {str(name): tensor for name, value in inner.items() if (tensor := _tensor(value)) is not None}
    if not tensors:
        raise UserError(f"{path}: expected weights by name, but there are none in this file")
    return ForeignFile(_without_wrapper(tensors), str(content.get("__author__", "")))


def _read(path: Path) -> Mapping[str, Any]:
    """The dictionary that a file of any of the known kinds holds."""
    start = _first_bytes(path)
    if start.startswith((_ZIP, _OLD_PTH)):
        return _read_torch(path)
    if start[8:9] == b"{":  # eight bytes of length, then JSON
        return _read_safetensors(path)
    return read_pickle(path)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except FileNotFoundError:
        raise UserError(f"{path}: expected a .pth, .pkl or .safetensors file of weights; there is none") from None
    except OSError as error:
        raise UserError(f"{path}: expected a file of weights, but the system says: {error.strerror or error}") from None


def _read_torch(path: Path) -> Mapping[str, Any]:
    """What `torch.save` wrote; the options of a training script (`argparse.Namespace`) may be in it: mere data."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of any kind, since a damaged file can go wrong anywhere in PyTorch
        raise UserError(f"{path}: {_reason(error)}") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: expected weights by name (a state_dict), got {type(content).__name__}")
    return content


def _reason(error: Exception) -> str:
    """One line in place of PyTorch's many, which end in advice on how to switch its protection off."""
    message = " ".join(str(error).split())
    if asked_for := re.search(r"GLOBAL (\S{1,80})", message):
        return (
            f"refused, nothing of it was executed: this file asks for {asked_for[1]}; expected tensors and plain data "
            "alone"
        )
    return f"expected a whole .pth file, but PyTorch cannot read it ({message[:120]})"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            if KEY in (file.metadata() or {}):
                raise UserError(f"{path}: a model of maskrcnn already; use it as it is")
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: expected a whole .safetensors file, but: {error}") from None


def _tensor(value: Any) -> Tensor | None:
    """A dense tensor, float32 if floating; None for anything else that lies beside the weights."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value.astype(value.dtype.newbyteorder("="), copy=True))
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized or value.is_meta:
        return None
    return value.detach().float() if value.is_floating_point() else value.detach()


def _without_wrapper(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """`DistributedDataParallel` puts "module." before every name."""
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
