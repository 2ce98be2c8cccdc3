"""The rows of one shard: a file that is there as a whole or not at all, and beside it what is done so far.

Rows stand in the order of their images' names. So what is missing is found, and what is kept is merged, in one walk
over names and rows, and memory does not grow with either.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from maskrcnn.data.content import has_size_of
from maskrcnn.files import PARTIAL_SUFFIX, move_durably, write_atomically
from maskrcnn.results.row import RowFile, RunSettings, read_lines, stated_content
from maskrcnn.scale.parquet import read_parquet, write_parquet

FORMATS = ("jsonl", "parquet")
"""Endings of the files; `jsonl` has the rows of `predict` as they are."""

LOCKS = ".locks"
"""The folder of files, empty ones, by which processes see what others are at; to delete one would let two in."""

NAMED = 3
"""So many failures are told with their reason, of each shard; the rows have all."""


@dataclass
class Tally:
    """What rows come to, or those of several shards.

    Attributes:
        images: that have a row.
        failed: of which could not be read.
        objects: found.
        reasons: of the first failures.
        new: images whose rows were made now; the others were there.
        parts: objects of an image of which there are more rows to come.
        changed: images that were there and are others by now.
    """

    images: int = 0
    failed: int = 0
    objects: int = 0
    reasons: list[str] = field(default_factory=list)
    new: int = 0
    parts: int = 0
    changed: int = 0

    def add(self, row: dict[str, Any], *, new: bool = False) -> None:
        """Count a row; an image counts with its last one."""
        self.parts += len(row["objects"])
        if row.get("more"):
            return
        self.images, self.new = self.images + 1, self.new + new
        if row["error"] is None:
            self.objects += self.parts
        else:
            self.failed += 1
            if len(self.reasons) < NAMED:
                self.reasons.append(row["error"])
        self.parts = 0

    def include(self, other: Tally) -> None:
        """Count those of another shard; its reasons are left to whoever tells them."""
        self.images, self.failed = self.images + other.images, self.failed + other.failed
        self.objects, self.new = self.objects + other.objects, self.new + other.new
        self.changed += other.changed


class ShardFile:
    """The rows of one shard.

    Args:
        path: of the finished file, `.jsonl` or `.parquet`.
        settings: of the run.
    """

    def __init__(self, path: Path, settings: RunSettings) -> None:
        self.path, self._settings = path, settings
        self._partial = path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
        self._file = RowFile(self._partial)

    @contextmanager
    def alone(self, patience: float = 0) -> Iterator[bool]:
        """Whether no other process is at this shard, after so many seconds (-1: however long it takes); nor will be."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.path.parent / LOCKS / f"{self.path.stem}.lock", timeout=patience)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def whole(self, names: Iterable[str], *, retry: bool) -> Tally | None:
        """What the finished file comes to, if it has a row for each image, as it is now, and no others.

        Args:
            names: of the shard's images, in order.
            retry: rows of images that could not be read count as missing.

        Raises:
            UserError: it was made with other settings, or something in it is no row.
        """
        if not self.path.exists():
            return None
        tally, names = Tally(), iter(names)
        for row in self._finished():
            tally.add(row)
            if row.get("more"):
                continue
            if next(names, None) != row["file_name"] or (retry and row["error"] is not None) or is_outdated(row):
                return None
        return tally if next(names, None) is None else None

    def begin(self, names: Iterable[str], tally: Tally, *, retry: bool) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Each name of which the rows so far have nothing, in order, with its rows in the finished file if they stay.

        Rows so far stay up to the first that is not the next name's, or of an image that changed: names have come or
        gone since.
        """
        names, outdated = iter(names), {row["file_name"] for row in self._finished() if is_outdated(row)}
        tally.changed = len(outdated)
        for end, row in read_lines(self._partial) if self._partial.exists() else ():
            self._settings.require_same(row, self._partial)
            if not row.get("more"):
                name = next(names, None)
                changed = is_outdated(row)
                if name != row["file_name"] or changed:
                    tally.changed += changed and row["file_name"] not in outdated
                    names = names if name is None else chain([name], names)
                    break
                self._file.end = end
            tally.add(row)
        tally.parts = 0  # of an image that was not finished
        rows = (row for row in self._finished() if row["file_name"] not in outdated)
        return joined(names, (row for row in rows if not retry or row["error"] is None))

    def append(self, row: dict[str, Any]) -> None:
        """Write a row behind those so far."""
        self._file.append(row)

    def finish(self) -> None:
        """The rows so far are all: they take the place of the finished file in one instant."""
        self._file.complete()
        if self.path.suffix == ".parquet":
            write_atomically(
                self.path, lambda aside: write_parquet((row for _, row in read_lines(self._partial)), aside)
            )
            self._partial.unlink()
        else:
            move_durably(self._partial, self.path)
        for leftover in self.path.parent.glob(f".{self.path.name}.*{PARTIAL_SUFFIX}"):  # of a process that was killed
            leftover.unlink(missing_ok=True)

    def pause(self) -> None:
        """What is done so far is on the disk."""
        self._file.close()

    def _finished(self) -> Iterator[dict[str, Any]]:
        for row in finished_rows(self.path):
            self._settings.require_same(row, self.path)
            yield row


def is_outdated(row: dict[str, Any]) -> bool:
    """Whether the image of a row has another size by now; a file that is gone and an object of a store cannot be told.

    Each start asks this of all images, so none is read for it.
    """
    name, content = row["file_name"], stated_content(row)
    return content is not None and not has_size_of(name, content) and os.path.exists(name)


def finished_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a finished file; none where there is no such file yet."""
    if path.suffix == ".parquet" and path.exists():
        yield from read_parquet(path)
    elif path.exists():
        yield from (row for _, row in read_lines(path))


def joined(names: Iterable[str], rows: Iterator[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each name with its row, several times with each of several, or None; rows of other names are left out.

    Both are sorted by name.
    """
    row = next(rows, None)
    for name in names:
        while row is not None and row["file_name"] < name:
            row = next(rows, None)
        if row is None or row["file_name"] != name:
            yield name, None
        while row is not None and row["file_name"] == name:
            yield name, row
            row = next(rows, None)
