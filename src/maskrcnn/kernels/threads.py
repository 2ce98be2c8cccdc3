"""Many tasks of the same size, each done by one thread from beginning to end.

Torch shares every single call among all cores, which must wait for each other after each one. A task of many small
calls is done sooner when every core does whole tasks by itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import TypeVar

import torch

Task = TypeVar("Task")


def in_threads(tasks: Iterable[Task], work: Callable[[Task], None]) -> None:
    """Do every task, as many at a time as torch has threads, without gradients and in the caller's context.

    A remainder that would occupy at most half of the cores is done afterwards; torch shares each call as usual.

    Which thread does which task varies from run to run, so no result may depend on it.

    Args:
        tasks: what to do.
        work: does one of them; called by several threads at once.
    """
    waiting = list(tasks)
    num_threads = torch.get_num_threads()
    left_over = len(waiting) % num_threads
    first_left_over = len(waiting) - left_over if 2 * left_over <= num_threads else len(waiting)
    if num_threads == 1:
        first_left_over = 0
    inference = torch.is_inference_mode_enabled()

    def take_and_do(queue: Iterator[Task]) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            for task in queue:  # a list's iterator may be shared: the interpreter's lock covers each step
                work(task)

    queue = iter(waiting[:first_left_over])
    futures = [
        _team(num_threads).submit(copy_context().run, take_and_do, queue)
        for _ in range(min(num_threads, first_left_over))
    ]
    for future in futures:
        future.result()
    take_and_do(iter(waiting[first_left_over:]))


@cache
def _team(size: int) -> ThreadPoolExecutor:
    """A pool of `size` threads, in each of which torch computes on one core."""
    everyone = threading.Barrier(size)

    def take_one_core() -> None:
        torch.get_num_threads()  # a thread's first question sets its number to that of the process
        torch.set_num_threads(1)
        everyone.wait()

    team = ThreadPoolExecutor(size, "maskrcnn", initializer=take_one_core)
    for future in [team.submit(lambda: None) for _ in range(size)]:
        future.result()
    torch.set_num_threads(size)  # for the threads to come, since the new ones have just set it to 1
    return team


if hasattr(os, "register_at_fork"):  # threads do not survive in a forked process
    os.register_at_fork(after_in_child=_team.cache_clear)
