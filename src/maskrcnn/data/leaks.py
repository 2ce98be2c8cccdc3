"""Pictures that are copies of one another: what is learned on one says nothing about the other."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from maskrcnn.data.file_names import file_identity

SAME_FILE = "the same file"
SAME_CONTENT = "files of equal content"
SAME_ORIGIN = "copies made of one picture (.rf. in their names)"

_ROBOFLOW = ".rf."
"""Roboflow calls the copies it varies at random `name_png.rf.<32 hexadecimal digits>.jpg`."""

_SAMPLE = 4096
"""Bytes; files of equal size are compared at three places before all of them is read."""


@dataclass(frozen=True)
class Copies:
    """Pictures that belong together.

    Attributes:
        reason: one of the names above.
        members: their numbers, ascending; at least two.
    """

    reason: str
    members: tuple[int, ...]


def find_copies(paths: Sequence[Path]) -> list[Copies]:
    """Which of the files are one picture: the same file, equal content, or varied copies of it.

    A set of pictures is named once, for the first reason that holds of it. A missing file is no copy.
    """
    copies, known = [], set[tuple[int, ...]]()
    for reason, keys in (
        (SAME_FILE, map(file_identity, paths)),
        (SAME_ORIGIN, map(origin_of, (path.name for path in paths))),
        (SAME_CONTENT, _contents(paths)),
    ):
        for members in _alike(keys):
            if members not in known:
                known.add(members)
                copies.append(Copies(reason, members))
    return copies


def find_leaks(train: Sequence[Path], val: Sequence[Path]) -> dict[str, list[tuple[int, int]]]:
    """Pictures to measure on that are among those to learn from: reason -> pairs of numbers (in train, in val)."""
    leaks: dict[str, list[tuple[int, int]]] = {}
    for copies in find_copies([*train, *val]):
        measured = [number - len(train) for number in copies.members if number >= len(train)]
        if measured and copies.members[0] < len(train):
            leaks.setdefault(copies.reason, []).extend((copies.members[0], number) for number in measured)
    return leaks


def _alike(keys: Iterable[Hashable]) -> list[tuple[int, ...]]:
    """Numbers of equal keys, where there are several; None equals nothing."""
    groups = defaultdict[Hashable, list[int]](list)
    for number, key in enumerate(keys):
        if key is not None:
            groups[key].append(number)
    return [tuple(members) for members in groups.values() if len(members) > 1]


def origin_of(name: str) -> str | None:
    """The name that Roboflow gives to all copies of a picture, from a file's name; None where it made none."""
    stem, mark, _ = name.partition(_ROBOFLOW)
    return stem if mark and stem else None


def _contents(paths: Sequence[Path]) -> list[Hashable]:
    """Equal where the bytes are; None where no other file has as many."""
    keys: list[Hashable] = [_size(path) for path in paths]
    for look in (_sample, _checksum):
        alike = _alike(keys)
        several = {number for members in alike for number in members}
        keys = [(key, look(paths[n])) if n in several else None for n, key in enumerate(keys)]
    return keys


def _size(path: Path) -> int | None:
    try:
        return os.stat(path).st_size or None
    except (OSError, ValueError):
        return None


def _sample(path: Path) -> bytes:
    """A few bytes of the beginning, the middle and the end."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        parts = []
        for place in (0, size // 2, max(size - _SAMPLE, 0)):
            file.seek(place)
            parts.append(file.read(_SAMPLE))
    return blake2b(b"".join(parts), digest_size=16).digest()


def _checksum(path: Path) -> bytes:
    checksum = blake2b(digest_size=16)
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            checksum.update(part)
    return checksum.digest()
