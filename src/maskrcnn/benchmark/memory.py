"""How much memory a process, or its part of a GPU, takes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int | None:
    """What the process holds in memory now; None where the system does not say."""
    return _of_status("VmRSS")


def peak_resident_bytes() -> int | None:
    """The most the process has held since it began; None where the system does not say."""
    from_status = _of_status("VmHWM")
    if from_status is not None:
        return from_status
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes, the others KiB


def used_bytes(device: torch.device) -> int | None:
    """Now: of the process for the CPU, by tensors for a GPU."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else resident_bytes()


def peak_bytes(device: torch.device) -> int | None:
    """The most so far: of the process for the CPU, by tensors for a GPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_resident_bytes()


def _of_status(field: str) -> int | None:
    """A field of Linux's report on the process, bytes."""
    try:
        found = re.search(rf"^{field}:\s*(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    except OSError:  # not Linux
        return None
    return None if found is None else 1024 * int(found[1])
