"""Which colour stands for which class; black is background.

`labelmap.txt` has a line `name:r,g,b:parts:actions` each. Roboflow's `_classes.csv`, of masks in grey, has lines
`value, name` below a header.
"""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

from maskrcnn.data.formats.content import is_class_name
from maskrcnn.data.formats.listing import Listing, nearest
from maskrcnn.data.formats.text_files import read_text
from maskrcnn.errors import UserError

NAME, OF_GREY = "labelmap.txt", "_classes.csv"

MAX_BYTES = 2**24


class LabelMaps:
    """The names of colours in each folder: those of its own file, else those of the one for all."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self.of_all = read_label_map(listing)
        self._found: dict[str, dict[int, str]] = {}

    def of(self, folder: str) -> dict[int, str]:
        """Those of masks in a folder."""
        if folder not in self._found:
            named = (f"{folder}/{name}".removeprefix("/") for name in (NAME, OF_GREY))
            own = [name for name in named if self._listing.has(name) and _is_label_map(self._listing, name)]
            is_own = bool(own) and self._listing.colours is None
            self._found[folder] = _read(self._listing.file(own[0])) if is_own else self.of_all
        return self._found[folder]


def find_label_map(listing: Listing) -> Path | None:
    """The file that the user named, or else that of the folder."""
    found = nearest(name for name in listing.names if _is_label_map(listing, name))
    return listing.colours or (None if found is None else listing.file(found))


def read_label_map(listing: Listing) -> dict[int, str]:
    """Class names by their colours as R 256^2 + G 256 + B, without the background; empty without such a file."""
    file = find_label_map(listing)
    return {} if file is None else _read(file)


def _read(file: Path) -> dict[int, str]:
    lines = read_lines(file)
    found = _names_of_grey(lines) if _is_of_grey(file) else _names_of_colours(lines)
    return {number: name for number, name in found.items() if number and is_class_name(name)}


def _is_label_map(listing: Listing, name: str) -> bool:
    """A `_classes.csv` may be of images as a whole, and then has other columns."""
    last = PurePosixPath(name).name
    return last == NAME or (last == OF_GREY and _is_of_grey(listing.file(name)))


def _is_of_grey(file: Path) -> bool:
    with suppress(UserError):
        return file.name == OF_GREY and [name.lower() for name, _ in _rows(read_lines(file)[:1])] == ["pixel value"]
    return False


def _names_of_colours(lines: list[str]) -> dict[int, str]:
    found = {}
    for line in lines:
        name, _, rest = line.partition(":")
        colour = rest.partition(":")[0].split(",")
        if not line.startswith("#") and len(colour) == 3 and all(part.strip().isdecimal() for part in colour):
            red, green, blue = (min(int(part.strip()[:9]), 255) for part in colour)
            found[(red << 16) + (green << 8) + blue] = name
    return found


def _names_of_grey(lines: list[str]) -> dict[int, str]:
    stated = {int(value): name for value, name in _rows(lines) if re.fullmatch(r"\d{1,3}", value)}
    return {(value << 16) + (value << 8) + value: name for value, name in stated.items() if value < 256}


def _rows(lines: list[str]) -> list[tuple[str, str]]:
    """The first two fields of each line, without the space around them; none where it is no CSV."""
    with suppress(csv.Error):
        rows = csv.reader(lines, skipinitialspace=True)
        return [(row[0].strip(), row[1].strip()) for row in rows if len(row) > 1]
    return []


def read_lines(path: Path, limit: int = MAX_BYTES) -> list[str]:
    """The lines of a small text file that are not empty, without the space around them."""
    lines = read_text(path, limit, "a text file").splitlines()
    return [line.strip() for line in lines if line.strip()]
