"""Which rank has died or is stuck: each says that it lives, once a second, and how far it is, where all can read.

A failed exchange only tells that somebody did not answer, and who notices it first is seldom at fault.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from torch.distributed.distributed_c10d import Store

_BEAT = 1.0
"""Seconds between two beats."""
_SILENCE = 8.0
"""Seconds without one after which a rank counts as dead."""
_PATIENCE = 5.0
"""Seconds more, in which the store has to answer."""


@dataclass(frozen=True)
class Beat:
    """What a rank says of itself.

    Attributes:
        count: of its beats so far.
        step: that it has begun last; 0 before the first.
        exchanges: that it has begun; who is stuck elsewhere has begun fewer than those who wait for it.
        has_left: whether it has ended by itself, and says why.
    """

    count: int = 0
    step: int = 0
    exchanges: int = 0
    has_left: bool = False


class Pulse:
    """The beats of this rank, and those of the others.

    Args:
        store: that all ranks share; rank 0 keeps it, or the launcher.
        rank: of this process.
        world: how many there are.
    """

    def __init__(self, store: Store, rank: int, world: int) -> None:
        self.step = self.exchanges = 0
        self._store, self._rank, self._world = store, rank, world
        self._count, self._has_ended, self._due = 0, False, threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)
        self._thread.start()

    def begin(self, step: int) -> None:
        """Tell the others at once which step it is: a beat later this rank may be dead."""
        self.step = step
        self._due.set()

    def stop(self) -> None:
        """The last beat; the others then know that this rank has not died."""
        self._has_ended = True
        self._due.set()
        self._thread.join(_PATIENCE)

    def verdict(self) -> str:
        """Who is to blame for an exchange that failed, as the beginning of a sentence; takes some seconds."""
        beats: list[Mapping[int, Beat]] = []
        look = threading.Thread(target=self._look, args=(beats,), name="roll call", daemon=True)
        look.start()
        look.join(_SILENCE + _PATIENCE)
        if len(beats) < 2:
            return f"rank 0 of {self._world}, which keeps the list of ranks, has ended or is stopped, {_in(self.step)}"
        return blame(beats[0], beats[-1], self._rank, self._world, self.exchanges)

    def _look(self, beats: list[Mapping[int, Beat]]) -> None:
        """At all beats, until each rank has beaten again or has been silent for long enough."""
        try:
            beats.append(self._read())
            deadline = time.monotonic() + _SILENCE
            while time.monotonic() < deadline and not _all_beat(beats[0], beats[-1], self._world):
                time.sleep(_BEAT / 2)
                beats.append(self._read())
        except RuntimeError:  # nobody keeps the store any more
            beats.clear()

    def _read(self) -> Mapping[int, Beat]:
        known = [rank for rank in range(self._world) if self._store.check([_key(rank)])]
        return {rank: Beat(**json.loads(self._store.get(_key(rank)))) for rank in known}

    def _beat(self) -> None:
        is_over = False
        while not is_over:
            self._due.wait(_BEAT if self._count else 0)
            self._due.clear()  # before it is looked at what there is to say
            is_over = self._has_ended
            self._count += 1
            beat = Beat(self._count, self.step, self.exchanges, is_over)
            try:
                self._store.set(_key(self._rank), json.dumps(vars(beat)))
            except RuntimeError:
                return


def blame(before: Mapping[int, Beat], after: Mapping[int, Beat], own: int, world: int, exchanges: int) -> str:
    """Who is to blame, from two looks at the beats.

    Args:
        before: the first look.
        after: the second, some beats later.
        own: the rank that asks.
        world: number of ranks.
        exchanges: that the asking rank has begun.
    """
    others = [rank for rank in range(world) if rank != own]
    dead = [r for r in others if not after.get(r, Beat()).has_left and after.get(r) == before.get(r)]
    stuck = [r for r in others if r not in dead and not after[r].has_left and after[r].exchanges < exchanges]
    left = [rank for rank in others if rank not in dead and after[rank].has_left]
    cases = (dead, "has ended or is stopped"), (stuck, "is stuck"), (left, "has ended with a message of its own")
    for ranks, what in cases:
        if ranks:
            step = after.get(ranks[0], Beat()).step
            more = f" (and {len(ranks) - 1} more)" if len(ranks) > 1 else ""
            return f"rank {ranks[0]} of {world}{more} {what}, {_in(step)}"
    return f"another rank of {world} does not answer"


def _in(step: int) -> str:
    return f"in step {step}" if step else "before the first step"


def _all_beat(before: Mapping[int, Beat], after: Mapping[int, Beat], world: int) -> bool:
    return all(r in after and (after[r].has_left or after[r] != before.get(r)) for r in range(world))


def _key(rank: int) -> str:
    return f"pulse of rank {rank}"
