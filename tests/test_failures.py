from __future__ import annotations

import errno
import os

import pytest
import torch

from maskrcnn.failures import failure_of_machine


class OutOfMemoryError(RuntimeError):
    """Named as torch's is."""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OutOfMemoryError("CUDA out of memory. Tried ..."), "out of GPU memory; lower"),
        (MemoryError(), "out of memory; try"),
        (MemoryError("Caught MemoryError in DataLoader worker process 0.\nTraceback ..."), "out of memory; try"),
        (OSError(errno.ENOSPC, "No space left", "/disk/log"), "no space left on the device of /disk/log; free some"),
        (OSError(errno.EDQUOT, "Quota exceeded"), "no space left on the device; free some"),
        (RuntimeError("unable to write to file </torch_1>: No space left on device (28)"), "no shared memory left"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "a process that reads images was"),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), "a process that reads images was"),
    ],
)
def test_failures_of_the_machine(error: Exception, line: str) -> None:
    reason = failure_of_machine(error)
    assert reason is not None and reason.startswith(line) and "\n" not in reason


def test_memory_that_torch_cannot_have() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    reason = failure_of_machine(caught.value)
    assert reason is not None and reason.startswith("out of memory")


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), RuntimeError("shape mismatch"), OSError(errno.EACCES, os.strerror(errno.EACCES)), KeyError("a")],
)
def test_other_errors_are_not_excused(error: Exception) -> None:
    assert failure_of_machine(error) is None
