"""What the figures of a benchmark depend on: the machine, the versions, and how fast it multiplies matrices."""

from __future__ import annotations

import os
import platform
import re
import time
from importlib import metadata
from pathlib import Path

import torch

from maskrcnn.benchmark.meter import stopwatch

_MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
"""Large enough for full speed, small enough for a second where the processor has instructions for the type."""
_SMALLEST_SIDE = 256
_PATIENCE = 0.5
"""Seconds for one product; without such instructions one of bfloat16 would take a minute."""


def describe_machine(device: torch.device) -> dict[str, str | int]:
    """Hardware, versions and threads, by name."""
    facts: dict[str, str | int] = {
        "processor": processor_name(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "maskrcnn": metadata.version("maskrcnn"),
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def processor_name() -> str:
    """As the processor calls itself."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def matrix_peak(device: torch.device, dtype: torch.dtype = torch.float32, side: int | None = None) -> float:
    """Floating-point operations per second of the product of two square matrices: the best of several.

    Args:
        device: where.
        dtype: of the matrices.
        side: of the matrices; None: what suits the device.
    """
    side = side or _side_in_time(device, dtype)
    best, deadline = float("inf"), time.perf_counter() + 1.0
    while True:
        best = min(best, _seconds_of_product(device, dtype, side))
        if time.perf_counter() > deadline:
            return float(2 * side**3 / best)


def _side_in_time(device: torch.device, dtype: torch.dtype) -> int:
    """What suits the device, or less, if that would take too long."""
    most, side = _MATRIX_SIDE.get(device.type, 2048), _SMALLEST_SIDE
    while side < most:
        seconds = min(_seconds_of_product(device, dtype, side) for _ in range(2))  # the first prepares
        if 8 * seconds > _PATIENCE:
            break
        side *= 2
    return side


def _seconds_of_product(device: torch.device, dtype: torch.dtype, side: int) -> float:
    read, matrix = stopwatch(device), torch.ones((side, side), device=device, dtype=dtype)
    start = read()
    torch.mm(matrix, matrix)
    return read() - start
