"""`labelmap.txt`: which colour stands for which class, a line `name:r,g,b:parts:actions` each; black is background."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from maskrcnn.data.formats.content import is_class_name
from maskrcnn.data.formats.listing import Listing, nearest
from maskrcnn.data.formats.text_files import read_text

NAME = "labelmap.txt"

MAX_BYTES = 2**24


def find_label_map(listing: Listing) -> Path | None:
    """The file that the user named, or else that of the folder."""
    found = nearest(name for name in listing.names if PurePosixPath(name).name == NAME)
    return listing.colours or (None if found is None else listing.file(found))


def read_label_map(listing: Listing) -> dict[int, str]:
    """Class names by their colours as R 256^2 + G 256 + B, without the background; empty without such a file."""
    file, found = find_label_map(listing), {}
    for line in read_lines(file) if file else []:
        name, _, rest = line.partition(":")
        colour = rest.partition(":")[0].split(",")
        if not line.startswith("#") and len(colour) == 3 and all(part.strip().isdecimal() for part in colour):
            red, green, blue = (min(int(part.strip()[:9]), 255) for part in colour)
            found[(red << 16) + (green << 8) + blue] = name
    return {number: name for number, name in found.items() if number and is_class_name(name)}


def read_lines(path: Path, limit: int = MAX_BYTES) -> list[str]:
    """The lines of a small text file that are not empty, without the space around them."""
    lines = read_text(path, limit, "a text file").splitlines()
    return [line.strip() for line in lines if line.strip()]
