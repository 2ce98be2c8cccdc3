"""Idle threads: GNU's OpenMP lets them wait for the next piece of work by running in circles, for some milliseconds."""

from __future__ import annotations

import os

SETTINGS = {"GOMP_SPINCOUNT": "5000"}
"""Turns before a waiting thread falls asleep, instead of GNU's 300,000."""


def let_idle_threads_sleep() -> None:
    """Give up the core soon, unless the environment says how threads wait; before torch is imported.

    Winograd's blocks run in threads of their own (`ops.side_by_side`), and those that wait in circles take their cores:
    a prediction at 800 x 1216 pixels took 3 to 5 % less time so. It holds for the whole process, so the command line
    calls it, and the library never does.
    """
    if not {"OMP_WAIT_POLICY", *SETTINGS} & os.environ.keys():
        os.environ.update(SETTINGS)
