"""Errors caused by the machine and not by the program: said in one line, as `UserError`s are."""

from __future__ import annotations

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)


def failure_of_machine(error: BaseException) -> str | None:
    """What the machine refused and what to do about it, in one line; None for any other error.

    PyTorch has no classes for most of these, so its messages tell.
    """
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError":  # torch's; PyTorch is not imported here
        return "out of GPU memory; lower the batch or image size, or use --device cpu"
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"no space left on the device{f' of {error.filename}' if error.filename else ''}; free some"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in text:
        return "out of memory; try smaller images or a smaller batch"
    if isinstance(error, RuntimeError) and "No space left on device" in text:
        return "no shared memory left for the processes that read images (/dev/shm); enlarge it, or set fewer workers"
    if isinstance(error, RuntimeError) and text.startswith("DataLoader worker"):
        return "a process that reads images was killed, often for want of memory; free some, or set fewer workers"
    return None
