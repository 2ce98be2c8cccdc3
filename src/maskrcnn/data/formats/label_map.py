"""Which colour stands for which class; black is background.

`labelmap.txt` has a line `name:r,g,b:parts:actions` each. Roboflow's `_classes.csv`, of masks in grey, has lines
`value, name` below a header.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

from maskrcnn.data.formats.content import is_class_name
from maskrcnn.data.formats.listing import Listing, nearest
from maskrcnn.data.formats.text_files import read_text
from maskrcnn.errors import UserError

NAME, OF_GREY = "labelmap.txt", "_classes.csv"

MAX_BYTES = 2**24


def find_label_map(listing: Listing) -> Path | None:
    """The file that the user named, or else that of the folder."""
    found = nearest(name for name in listing.names if _is_label_map(listing, name))
    return listing.colours or (None if found is None else listing.file(found))


def _is_label_map(listing: Listing, name: str) -> bool:
    """A `_classes.csv` may be of images as a whole, and then has other columns."""
    last = PurePosixPath(name).name
    return last == NAME or (last == OF_GREY and _is_of_grey(listing.file(name)))


def _is_of_grey(file: Path) -> bool:
    with suppress(UserError, IndexError):
        return file.name == OF_GREY and read_lines(file)[0].lower().startswith("pixel value")
    return False


def read_label_map(listing: Listing) -> dict[int, str]:
    """Class names by their colours as R 256^2 + G 256 + B, without the background; empty without such a file."""
    file = find_label_map(listing)
    lines = read_lines(file) if file else []
    found = _names_of_grey(lines) if file and _is_of_grey(file) else _names_of_colours(lines)
    return {number: name for number, name in found.items() if number and is_class_name(name)}


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
    named = (line.partition(",") for line in lines)
    stated = {int(value): name.strip() for value, _, name in named if re.fullmatch(r"\d{1,3}", value)}
    return {(value << 16) + (value << 8) + value: name for value, name in stated.items() if value < 256}


def read_lines(path: Path, limit: int = MAX_BYTES) -> list[str]:
    """The lines of a small text file that are not empty, without the space around them."""
    lines = read_text(path, limit, "a text file").splitlines()
    return [line.strip() for line in lines if line.strip()]
