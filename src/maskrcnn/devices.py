"""Which device to compute on, and in which precision."""

from __future__ import annotations

import torch

from maskrcnn.errors import UserError
from maskrcnn.text import brief

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""What convolutions and matrix products of a prediction compute in; boxes and scores are always float32."""


def resolve_device(name: str) -> torch.device:
    """The device called `name`; "auto" is the first CUDA GPU if there is one, else the CPU.

    Raises:
        UserError: no such device, or none on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        raise UserError(f'device: expected "auto", "cpu", "cuda" or "cuda:<number>", got {brief(name)}')
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device: {name} is not there (CUDA GPUs found: {torch.cuda.device_count()}); use cpu or auto")
    return device


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """The type of `PRECISIONS` called `name`.

    Raises:
        UserError: no such precision, or one that `device` does not compute in.
    """
    if name not in PRECISIONS:
        raise UserError(f"precision: expected one of {', '.join(PRECISIONS)}, got {brief(name)}")
    if name == "float16" and device.type == "cpu":
        raise UserError("precision: float16 is for GPUs; on the CPU use float32, or bfloat16 where it has AMX")
    return PRECISIONS[name]
