"""Which shard an image belongs to, and the names of each shard on disk."""

from __future__ import annotations

import heapq
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from hashlib import blake2b
from itertools import groupby, islice
from pathlib import Path
from typing import IO

HELD = 1 << 17
"""Names that are held in memory at a time."""


def shard_of(name: str, num_shards: int) -> int:
    """The shard of an image, 0 .. num_shards - 1: the 8 bytes of BLAKE2b of the name, as one number, modulo the shards.

    The first byte weighs most; the name is UTF-8. Nothing else counts, neither order nor machine nor how many others
    there are.
    """
    digest = blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % num_shards


class NameFiles:
    """The names of each shard in a file of its own, a JSON string on each line, since names may have line ends.

    Args:
        folder: of these files, which may be there already.
        num_shards: into how many the names are divided.
    """

    def __init__(self, folder: Path, num_shards: int) -> None:
        self.folder, self._num_shards = folder, num_shards

    def fill(self, names: Iterable[str], wanted: Collection[int]) -> int:
        """Write the names of the wanted shards; returns how many names there are in all."""
        names, wanted, count = iter(names), set(wanted), 0
        while held := list(islice(names, HELD)):
            count += len(held)
            lines: dict[int, list[str]] = defaultdict(list)
            for name in held:
                lines[shard_of(name, self._num_shards)].append(json.dumps(name) + "\n")
            for shard in lines.keys() & wanted:
                with self._path(shard).open("a") as file:
                    file.writelines(lines[shard])
        return count

    def of(self, shard: int) -> Iterator[str]:
        """The names of a shard, each once, in the order of their characters."""
        path = self._path(shard)
        if path.exists():
            yield from sorted_once(path)

    def _path(self, shard: int) -> Path:
        return self.folder / f"{shard}.names"


def sorted_once(path: Path) -> Iterator[str]:
    """The JSON strings of a file of lines, sorted, each once; more than `HELD` are sorted in parts on disk."""
    with ExitStack() as stack:
        lines = stack.enter_context(path.open())
        runs: list[Iterable[str]] = []
        while held := sorted(json.loads(line) for line in islice(lines, HELD)):
            runs.append(held if len(held) < HELD else _on_disk(held, stack.enter_context(_scratch(path.parent))))
        yield from (name for name, _ in groupby(heapq.merge(*runs)))


def _on_disk(names: list[str], file: IO[str]) -> Iterator[str]:
    file.writelines(json.dumps(name) + "\n" for name in names)
    file.seek(0)
    return map(json.loads, file)


def _scratch(folder: Path) -> IO[str]:
    """A file that is gone with the process, however that ends."""
    return tempfile.TemporaryFile("w+", dir=os.fspath(folder))
