"""One shard from beginning to end, and the shards of a process one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any

from maskrcnn.data.outputs import ROWS
from maskrcnn.errors import UserError
from maskrcnn.scale.rows import Job, RowMaker
from maskrcnn.scale.shard_file import ShardFile, Tally
from maskrcnn.scale.shards import NameFiles

FOLDER = "shards"
"""In the output; a file for each shard."""

FOREVER = -1.0


@dataclass(frozen=True)
class Shards:
    """The shards of one output.

    Attributes:
        output: its folder.
        number: of shards.
        format: of their files, one of `FORMATS`.
        retry: whether images that could not be read are tried again.
    """

    output: Path
    number: int
    format: str = "jsonl"
    retry: bool = False

    @property
    def folder(self) -> Path:
        """Of their files."""
        return self.output / FOLDER

    def path(self, shard: int) -> Path:
        """Of the finished file of a shard."""
        return self.folder / f"{shard:05d}-of-{self.number:05d}.{self.format}"

    def require_alone(self) -> None:
        """A `UserError` where the output has other results: of another number of shards or format, or of no shards."""
        ours = f"{self.number:05d}.{self.format}"
        for path in [*self.folder.glob("*-of-*"), self.output / ROWS]:
            if path.exists() and not path.name.partition("-of-")[2].startswith(ours):
                raise UserError(
                    f"{path}: holds results of another run, now {self.number} shards as {self.format}; choose another "
                    "--output, or delete what is there"
                )

    def clear(self, wanted: Iterable[int] | None) -> None:
        """Delete the rows of these shards; None: all that lie there, of other numbers too."""
        parts = ["*-of-*"] if wanted is None else [f"*{self.path(shard).name}*" for shard in wanted]
        for path in (path for part in parts for path in self.folder.glob(part)):
            path.unlink(missing_ok=True)


class ShardWork:
    """What a process does to shards; the model is loaded when the first image needs it.

    Args:
        job: what it must know.
        shards: of which output.
        names: of the images of each.
    """

    def __init__(self, job: Job, shards: Shards, names: NameFiles) -> None:
        self._job, self._shards, self._names = job, shards, names

    @cached_property
    def _maker(self) -> RowMaker:
        return RowMaker(self._job)

    def do(self, shard: int, patience: float = 0, each: Callable[[Tally], object] = lambda tally: None) -> Tally | None:
        """What a shard comes to: what was there if it is whole, else with what was missing.

        Args:
            shard: its number.
            patience: seconds to wait where another process is at it.
            each: called with what there is so far, whenever an image is done.

        Returns:
            None where another process is at it.

        Raises:
            UserError: results of another run are there, or the system refused. What is done so far stays.
        """
        file = ShardFile(self._shards.path(shard), self._job.settings)
        with file.alone(patience) as alone:
            if not alone:
                return None
            retry = self._shards.retry
            return file.whole(self._names.of(shard), retry=retry) or self._complete(file, shard, each)

    def _complete(self, file: ShardFile, shard: int, each: Callable[[Tally], object]) -> Tally:
        tally = Tally()
        try:
            for row, new in self._rows(file.begin(self._names.of(shard), tally, retry=self._shards.retry)):
                file.append(row)
                tally.add(row, new=new)
                each(tally)
        finally:
            file.pause()
        file.finish()
        return tally

    def _rows(self, waiting: Iterator[tuple[str, dict[str, Any] | None]]) -> Iterator[tuple[dict[str, Any], bool]]:
        """The row of each name and whether it is new, in their order."""
        for is_missing, some in groupby(waiting, lambda named: named[1] is None):
            if is_missing:
                yield from ((row, True) for row in self._maker.rows(name for name, _ in some))
            else:
                yield from ((row, False) for _, row in some if row is not None)


def in_turn(
    work: ShardWork,
    wanted: Iterable[int],
    done: Callable[[int, Tally], object],
    each: Callable[[int, Tally], object] = lambda shard, tally: None,
) -> None:
    """Do shards one after the other: first those that nobody is at, then what others may have left.

    Args:
        work: what is done.
        wanted: the shards.
        done: called for each shard that is whole, whoever did it.
        each: called with what there is so far, whenever an image is done.
    """
    waiting = list(wanted)
    for patience in (0.0, FOREVER):
        busy = []
        for shard in waiting:
            tally = work.do(shard, patience, partial(each, shard))
            if tally is None:
                busy.append(shard)
            else:
                done(shard, tally)
        waiting = busy
