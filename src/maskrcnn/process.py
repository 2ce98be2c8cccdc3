"""How our own processes begin: with settings that the C libraries read once, before Python runs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from types import FrameType

SETTINGS = {
    "GLIBC_TUNABLES": ":".join(
        f"glibc.malloc.{name}={value}"
        for name, value in {
            # Freed memory is kept: large tensors would be mapped anew at every operation, page by page.
            "mmap_max": 0,
            "trim_threshold": 2**40,
            "top_pad": 16 * 2**20,
            # And it is joined with its neighbours at once. Each aligned tensor leaves small free chunks on either
            # side; kept apart for later, these are in the way of the next tensor of the same size.
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

    They hold for a whole process, so the command line calls it, and the library never does; a program of yours may, in
    its first lines. Nothing happens where they mean nothing (Windows, macOS), under a debugger, where the same command
    line would not run the same program, or if the environment says something of the kind: then all is left to the user.
    """
    if not sys.platform.startswith("linux") or not sys.executable or sys.gettrace():
        return
    if os.environ.keys() & {"OMP_WAIT_POLICY", *SETTINGS}:  # the second time, or the user's own
        return
    if _can_begin_anew(sys._getframe()):
        with suppress(OSError):  # then without
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **SETTINGS})


def settings_state() -> str:
    """Whether `SETTINGS` hold for this process, for `maskrcnn doctor`."""
    if not sys.platform.startswith("linux"):
        return "none on this system"
    differing = sorted(name for name, value in SETTINGS.items() if os.environ.get(name) != value)
    if not differing and "OMP_WAIT_POLICY" not in os.environ:
        return "active"
    own = sorted(os.environ.keys() & {"OMP_WAIT_POLICY", *differing})
    return f"not active: {', '.join(own)} is set" if own else "not active: the program was not begun anew"


def _can_begin_anew(frame: FrameType | None) -> bool:
    """Whether the program that calls is all that this process runs, and can be read a second time.

    A host that runs it by `runpy`, such as a profiler, would begin with it and lose what it has done so far. Standard
    input has been read, so that a script from there would be missing.
    """
    while frame and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    if not frame:
        return False
    source, caller = frame.f_code.co_filename, frame.f_back
    while caller and caller.f_code.co_name in ("_run_code", "_run_module_as_main"):  # of `python -m`
        caller = caller.f_back
    return caller is None and (source == "<string>" or os.path.isfile(source))
