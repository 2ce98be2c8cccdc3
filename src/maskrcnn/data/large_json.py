"""A large JSON object whose lists are read element by element, so that none of them is ever in memory as a whole.

As Python objects a million annotations take gigabytes. The file is read in windows; Python's own decoder parses each
element. Bytes are taken as Latin-1 to find the elements, so that places in the text are places in the file, and parsed
as UTF-8 where they are not plain ASCII.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any, BinaryIO

from maskrcnn.errors import UserError
from maskrcnn.files import open_regular
from maskrcnn.json_values import LARGEST_FILE

WINDOW = 1 << 22
"""Bytes that are looked at together; an element that is longer widens the window."""

_LONGEST_NAME = 64
"""Bytes of a name in quotes that is looked for at a glance."""
_SPACE = " \t\n\r"
_BOM = "\xef\xbb\xbf"
_decode = JSONDecoder().raw_decode

Take = Callable[[Any, int, int], object]
"""Gets an element, the place of its first byte in the file, and its length."""


def scan_lists(file: BinaryIO, take: dict[str, Take]) -> tuple[set[str], dict[str, Any]]:
    """Go once through a JSON object; give each element of the lists that `take` names to its function.

    Returns:
        The names of the lists that were there, and the other values that are no lists.

    Raises:
        ValueError: it is no JSON object.
    """
    text, found, others = _Window(file), set[str](), dict[str, Any]()
    if text.text.startswith(_BOM):
        text.place = len(_BOM)
    text.expect("{")
    while text.next() != "}":
        name = text.value()[0]
        if not isinstance(name, str):
            raise JSONDecodeError("Expecting property name enclosed in double quotes", text.text, text.place)
        if name in found:
            raise JSONDecodeError(f"Expecting one list {name!r}, found a second", text.text, text.place)
        text.expect(":")
        if name in take and text.next() == "[":
            found.add(name)
            _scan_list(text, take[name])
        elif not isinstance(value := text.value()[0], list):
            others[name] = value
        if text.next() != "}":
            text.expect(",")
    text.expect("}")
    if text.next():
        raise JSONDecodeError("Extra data", text.text, text.place)
    return found, others


def _scan_list(text: _Window, take: Take) -> None:
    text.expect("[")
    while text.next() != "]":
        take(*text.value())
        if text.next() != "]":
            text.expect(",")
            if text.next() == "]":
                raise JSONDecodeError("Expecting value", text.text, text.place)
    text.expect("]")


class _Window:
    """A part of the file as text, and the place in it that has been read up to."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.start = 0
        self.text = file.read(WINDOW).decode("latin-1")
        self.place = 0

    def next(self) -> str:
        """The next character that is no space; empty at the end."""
        text, place = self.text, self.place
        while text[place : place + 1] in _SPACE:
            if place < len(text):
                place += 1
                continue
            self.place = place
            if not self._more():
                return ""
            text, place = self.text, self.place
        self.place = place
        return text[place]

    def expect(self, character: str) -> None:
        if self.next() != character:
            raise JSONDecodeError(f"Expecting '{character}'", self.text, self.place)
        self.place += 1

    def value(self) -> tuple[Any, int, int]:
        """The next value, the place of its first byte in the file, and its length."""
        self.next()
        while True:
            try:
                value, end = _decode(self.text, self.place)
                if end < len(self.text):  # otherwise a number may go on
                    break
            except JSONDecodeError:
                if not self._more():
                    raise
                continue
            if not self._more():
                break
        raw, first = self.text[self.place : end], self.start + self.place
        self.place = end
        return value if raw.isascii() else json.loads(raw.encode("latin-1")), first, len(raw)

    def _more(self) -> bool:
        """Read on: as much again as is waiting, at least a window. False at the end of the file."""
        waiting = self.text[self.place :]
        read = self.file.read(max(WINDOW, len(waiting)))
        self.start += self.place
        self.text, self.place = waiting + read.decode("latin-1"), 0
        return bool(read)


class LargeFile:
    """Elements of a file by their places. The file stays open as long as this is in use.

    Raises:
        UserError: as `open_regular`, and where the file is larger than any data set's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = open_regular(path, "a JSON file")
        if os.fstat(self.file.fileno()).st_size > LARGEST_FILE:
            raise UserError(f"{path}: expected a JSON file, of at most {LARGEST_FILE} bytes, but the file is larger")

    def close(self) -> None:
        """Nothing is read from it any more."""
        self.file.close()

    def may_have(self, names: Sequence[str]) -> bool:
        """Whether it looks like an object with all of these names, at a glance: one of another form is not scanned."""
        self.file.seek(0)
        missing, before = [json.dumps(name).encode() for name in names], b""
        while missing and (window := self.file.read(WINDOW)):
            if not before and not window.decode("latin-1").removeprefix(_BOM).lstrip(_SPACE).startswith("{"):
                return False
            missing = [name for name in missing if name not in before + window]
            before = window[-_LONGEST_NAME:]
        return not missing

    def scan(self, take: dict[str, Take]) -> tuple[set[str], dict[str, Any]]:
        """`scan_lists`, with an error for people."""
        self.file.seek(0)
        try:
            return scan_lists(self.file, take)
        except RecursionError:
            raise UserError(f"{self.path}: expected a file of labels, got JSON nested too deeply to be one") from None
        except ValueError as error:
            raise UserError(f"{self.path}: expected JSON text, but {error}; export the file again") from None

    def read(self, start: int, length: int) -> Any:
        """One element."""
        self.file.seek(start)
        try:
            text = self.file.read(length).decode()
            value, end = _decode(text)
        except ValueError:
            end, text = 0, " "
        if end != len(text):
            raise UserError(f"{self.path}: has changed while it was read; try again")
        return value
