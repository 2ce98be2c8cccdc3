"""Actors of Ray at work on shards: who does what, and what happens when one dies."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.scale.shard_file import Tally
from maskrcnn.text import counted, one_line

START = 300.0
"""Seconds that an actor may take until it can work, Python and PyTorch included."""

DEATHS = 3
"""Of actors at the same shard, until it is left."""


@dataclass
class Pool:
    """Actors at work.

    Attributes:
        ray: the library.
        make: starts an actor.
        waiting: shards that nobody is at.
        done: called for each shard that is whole.
        say: is told what happens.
    """

    ray: Any
    make: Callable[[], Any]
    waiting: deque[int]
    done: Callable[[int, Tally], object]
    say: Callable[[str], object]
    _pending: dict[Any, tuple[Any, int | None, float]] = field(default_factory=dict)  # actor, its shard, since when
    _deaths: dict[int | None, list[str]] = field(default_factory=dict)

    def run(self, number: int) -> None:
        """Until all shards are done, or left because actors died at them."""
        for _ in range(number):
            self._start()
        while self._pending:
            self._step()
        lost = {shard: reasons for shard, reasons in self._deaths.items() if len(reasons) >= DEATHS}
        if lost or self.waiting:
            shard, reasons = next(iter(lost.items()))
            left = len(self.waiting) + len(lost.keys() - {None})
            where = "before its first shard" if shard is None else f"at shard {shard}"
            raise UserError(
                f"an actor died {DEATHS} times {where} ({reasons[-1]}), often for want of memory; "
                f"{counted(left, 'shard')} not done: the same command does them"
            )

    def _step(self) -> None:
        """One thing that happens."""
        happened, _ = self.ray.wait(list(self._pending), num_returns=1, timeout=START / 5)
        if not happened:
            self._require_started()
            return
        actor, shard, _ = self._pending.pop(happened[0])
        try:
            tally = self.ray.get(happened[0])
        except self.ray.exceptions.RayActorError as error:
            self._replace(shard, one_line(str(error).partition("\n")[0]))
            return
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, UserError) else error from None
        if shard is not None and tally is None:
            raise UserError(f"shard {shard}: another process is at it; wait until it ends, or stop it")
        if shard is not None:
            self.done(shard, tally)
        self._give(actor)

    def _start(self) -> None:
        actor = self.make()
        self._pending[actor.ready.remote()] = actor, None, time.monotonic()

    def _give(self, actor: Any) -> None:
        """The next shard; without one the actor ends, as nobody holds it any more."""
        if self.waiting:
            shard = self.waiting.popleft()
            self._pending[actor.do.remote(shard)] = actor, shard, time.monotonic()

    def _replace(self, shard: int | None, reason: str) -> None:
        """Another actor for one that died, and another try for its shard, which goes on where it was."""
        reasons = self._deaths.setdefault(shard, [])
        reasons.append(reason)
        self.say(f"an actor died{'' if shard is None else f' at shard {shard}'}: {reason}")
        if shard is not None and len(reasons) < DEATHS:
            self.waiting.appendleft(shard)
        if self.waiting and len(self._deaths.get(None, ())) < DEATHS:
            self._start()

    def _require_started(self) -> None:
        late = [since for _, shard, since in self._pending.values() if shard is None]
        if late and time.monotonic() - min(late) > START:
            raise UserError(
                f"{counted(len(late), 'actor')} did not start within {START:.0f} s: something else has taken the room "
                "in the Ray cluster, or its machines are overloaded; try again later, or with fewer --actors"
            )
