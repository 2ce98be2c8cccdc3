"""The names of many images: folders with all below them, patterns, lists, object stores.

One name after the other, as the file system lists them, so that memory does not grow with their number.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from maskrcnn.errors import UserError
from maskrcnn.files import open_regular
from maskrcnn.scale.objects import is_address, lines_of, listed
from maskrcnn.sources import IMAGE_SUFFIXES

LIST_SUFFIXES = (".txt", ".list")
"""A file with such an ending has a name on each line, a path or an address; empty lines count nothing."""


def image_names(sources: Sequence[str]) -> Iterator[str]:
    """The images behind `sources`: paths with forward slashes and addresses, as they were given.

    A name may come several times. That it can be read is not known yet.

    Args:
        sources: each an image, a folder (the images in it and below it; folders behind symbolic links are left out), a
            glob pattern, a list, or the address of such a thing in an object store (`s3://...`).

    Raises:
        UserError: a source that does not exist, or in which there are no images.
    """
    for source in sources:
        empty = True
        for name in _names(source):
            empty = False
            yield name
        if empty:
            raise UserError(f"{source}: no images ({', '.join(sorted(IMAGE_SUFFIXES))}) in it")


def _names(source: str) -> Iterator[str]:
    if source.lower().endswith(LIST_SUFFIXES) and (is_address(source) or os.path.isfile(source)):
        yield from filter(None, lines_of(source) if is_address(source) else _lines(source))
    elif is_address(source):
        yield from (name for name in listed(source) if name == source or _is_image(name))
    else:
        yield from (Path(name).as_posix() for name in _paths(os.path.expanduser(source)))


def _lines(path: str) -> Iterator[str]:
    with open_regular(path, "a list of images") as lines:
        yield from (os.fsdecode(line).rstrip("\r\n") for line in lines)


def _paths(source: str) -> Iterator[str]:
    if os.path.isfile(source):
        yield source
    elif os.path.isdir(source):
        yield from _below(source)
    elif glob.has_magic(source):
        yield from _matching(source)
    else:
        raise UserError(
            f"{source}: expected an image, a folder, a pattern such as 'cells/*.png' or a list of images "
            f"({' or '.join(LIST_SUFFIXES)}); no such file"
        )


def _below(folder: str) -> Iterator[str]:
    """The images in a folder and all folders below it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)
            elif _is_image(entry.name) and entry.is_file():
                yield entry.path


def _matching(pattern: str) -> Iterator[str]:
    """The images that a pattern fits; `glob` itself would hold the names of a whole folder."""
    folder, last = os.path.split(pattern)
    several = glob.iglob(os.path.join(folder, ""), recursive=True) if glob.has_magic(folder) else [folder]
    for found in filter(lambda found: os.path.isdir(found or "."), several):
        if last == "**":
            yield from _below(found)
            continue
        with os.scandir(found or ".") as entries:
            for entry in entries:
                hidden = entry.name.startswith(".") and not last.startswith(".")
                if not hidden and fnmatch.fnmatch(entry.name, last) and _is_image(entry.name) and entry.is_file():
                    yield os.path.join(found, entry.name)


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
