"""Text from files and libraries, made fit for one line of a terminal: it may be anything, and of any length."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence
from typing import Any

LONGEST = 120
"""Characters of a name or a value in a message."""

_GAP = " ... "
_BREAK = re.compile(r"[\t\n\r\f\v][ \t\n\r\f\v]*")


def one_line(text: str, longest: int = LONGEST) -> str:
    """Printable, on one line, and no longer than `longest`: of what is longer the middle is left out."""
    if len(text) <= longest:
        whole = _printable(text)
        if len(whole) <= longest:
            return whole
    end = (longest - len(_GAP)) // 3
    start = longest - len(_GAP) - end
    return _printable(text[:longest])[:start] + _GAP + _printable(text[-longest:])[-end:]


def brief(value: Any) -> str:
    """A value as Python writes it, cut short: it may be megabytes long, or nested too deeply to print."""
    return one_line(_BRIEF.repr(value))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in _BREAK.sub(" ", text))


class _Brief(reprlib.Repr):
    """`reprlib` writes out every level of nested values, whole byte strings, and numbers of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        if x.bit_length() > 256:  # Python itself refuses to write very large ones
            return f"<a number of about {round(x.bit_length() * 0.30103)} digits>"
        return super().repr_int(x, level)

    def repr_bytes(self, x: bytes, level: int) -> str:
        return self.repr1(x[: self.maxother].decode("latin-1"), level)

    repr_bytearray = repr_bytes


_BRIEF = _Brief()


def counted(number: int, noun: str) -> str:
    """`1 image`, `2 images`; for nouns that take an s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = 10) -> str:
    """The first `most` names, each fit for a line, and how many more there are."""
    return ", ".join(map(one_line, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
