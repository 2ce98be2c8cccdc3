"""How our own processes begin: with settings that the C libraries read once, before Python runs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

SETTINGS = {
    "GLIBC_TUNABLES": ":".join(
        f"glibc.malloc.{name}={value}"
        for name, value in {
            # Freed memory is kept: large tensors would be mapped anew at every operation, page by page.
            "mmap_max": 0,
            "trim_threshold": 2**40,
            "top_pad": 16 * 2**20,
            # And it is joined with its neighbours at once. Each aligned tensor leaves a splinter on either side; kept
            # apart for later, these are in the way of the next tensor of the same size.
            "tcache_count": 0,
            "mxfast": 0,
            # In pages of 2 MiB where the system hands them out on demand: fewer faults, and fewer misses of the TLB.
            "hugetlb": 1,
        }.items()
    ),
    # Idle threads of GNU's OpenMP give up their core after so many turns in a circle, instead of 300,000: Winograd's
    # blocks run in threads of their own (`kernels.threads`) and want it.
    "GOMP_SPINCOUNT": "5000",
}


def begin_with_settings() -> None:
    """Begin this program anew with `SETTINGS`, in the same process; to be called before anything is done.

    They hold for a whole process, so the command line calls it, and the library never does. Nothing happens where they
    mean nothing (Windows, macOS), under a debugger, or if the environment says something of the kind: then all is left
    to the user.
    """
    if not sys.platform.startswith("linux") or not sys.executable or sys.gettrace():
        return
    if os.environ.keys() & {"OMP_WAIT_POLICY", *SETTINGS}:  # the second time, or the user's own
        return
    with suppress(OSError):  # then without
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **SETTINGS})
