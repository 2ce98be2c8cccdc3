"""Devices that the host runs ahead of."""

from __future__ import annotations

from torch import Tensor


def is_asynchronous(x: Tensor) -> bool:
    """Whether x lies on such a device, a GPU: a size that depends on values would make the host wait for them."""
    return x.device.type != "cpu"
