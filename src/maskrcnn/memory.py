"""Keeping freed memory: large tensors are otherwise mapped from the system anew, page by page, at every operation."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # glibc's malloc.h
_SETTINGS = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 256 * 2**20}


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed for the next tensor; False where there is no glibc to tell.

    A training step of small images takes about two thirds of the time so. It holds for the whole process, so the
    command line calls it, and the library never does.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, such as musl
        return False
    return all(mallopt(setting, value) == 1 for setting, value in _SETTINGS.items())
