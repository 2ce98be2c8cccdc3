"""What a file held when it was read, in three numbers, and whether it still does."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Content:
    """Size and time stamp say cheaply that a file is the same; the checksum says it for certain.

    Attributes:
        checksum: CRC-32 of the bytes.
        size: their number.
        time: of the last change, in nanoseconds.
    """

    checksum: int
    size: int
    time: int


def content_of(path: str | os.PathLike[str]) -> Content:
    """Read a regular file once through. Raises OSError."""
    checksum = 0
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
        status = os.fstat(file.fileno())
    return Content(checksum, status.st_size, status.st_mtime_ns)


def content_if_same(path: str | os.PathLike[str], before: Content, *, trust_time: bool = True) -> Content | None:
    """What a file holds now, if that is what it held before; None where it is another, or gone.

    Args:
        path: of the file.
        before: what it held.
        trust_time: whether the old size and time stamp are enough; otherwise the checksum is taken anew.
    """
    try:
        status = os.stat(path)
        if trust_time and (status.st_size, status.st_mtime_ns) == (before.size, before.time):
            return before
        now = content_of(path) if status.st_size == before.size else None
    except OSError:
        return None
    return now if now is not None and now.checksum == before.checksum else None


def has_size_of(path: str | os.PathLike[str], before: Content) -> bool:
    """Whether a file is as long as before: for a look at many files, each of which may have got a new time stamp."""
    try:
        return os.path.getsize(path) == before.size
    except OSError:
        return False
