"""The names of many images: folders with all below them, patterns, lists, object stores.

One name after the other, as the file system lists them, so that memory does not grow with their number.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path, PurePosixPath

from maskrcnn.data.left_out import IMAGE_SUFFIXES, OTHER_SUFFIXES, LeftOut
from maskrcnn.data.outputs import drawn_pictures, is_made
from maskrcnn.errors import UserError
from maskrcnn.files import open_regular
from maskrcnn.scale.objects import is_address, lines_of, listed
from maskrcnn.sources import named_folder

LIST_SUFFIXES = (".txt", ".list")
"""A file with such an ending has a name on each line, a path or an address; empty lines count nothing."""


def image_names(sources: Sequence[str], note: Callable[[str], object] | None = None) -> Iterator[str]:
    """The images behind `sources`: paths with forward slashes and addresses, as they were given.

    A name may come several times. That it can be read is not known yet.

    Args:
        sources: each an image, a folder (the images in it and below it; folders behind symbolic links and what
            `predict` wrote itself are left out), a glob pattern, a list, or the address of such a thing in an object
            store (`s3://...`).
        note: is told what is left out.

    Raises:
        UserError: a source that does not exist, or in which there are no images.
    """
    for source in sources:
        empty, left_out = True, LeftOut()
        for name in _names(source, left_out):
            empty = False
            yield name
        if empty:
            raise UserError(f"{source}: no images ({', '.join(sorted(IMAGE_SUFFIXES))}) in it{left_out.but()}")
        if note is not None:
            left_out.tell(source, note)


def _names(source: str, left_out: LeftOut) -> Iterator[str]:
    if source.lower().endswith(LIST_SUFFIXES) and (is_address(source) or os.path.isfile(source)):
        yield from filter(None, lines_of(source) if is_address(source) else _lines(source))
    elif is_address(source):
        yield from (name for name in listed(source) if name == source or _is_image(name))
    else:
        yield from (Path(name).as_posix() for name in _paths(os.path.expanduser(source), left_out))


def _lines(path: str) -> Iterator[str]:
    with open_regular(path, "a list of images") as lines:
        yield from (os.fsdecode(line).rstrip("\r\n") for line in lines)


def _paths(source: str, left_out: LeftOut) -> Iterator[str]:
    if os.path.isfile(source):
        yield source
    elif os.path.isdir(source):
        yield from _below(source, left_out)
    elif glob.has_magic(source):
        yield from _matching(source, left_out)
    else:
        raise UserError(
            f"{source}: expected an image, a folder, a pattern such as 'cells/*.png' or a list of images "
            f"({' or '.join(LIST_SUFFIXES)}); no such file"
        )


def _below(folder: str, left_out: LeftOut, *, made: bool = False) -> Iterator[str]:
    """The images in a folder and all folders below it; none where `predict` made it."""
    pictures = drawn_pictures(Path(folder))
    for entry in _entries(folder, left_out):
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path, left_out, made=made or is_made(Path(entry.path)))
        elif _is_image(entry.name) and entry.is_file():
            if made or entry.name in pictures:
                left_out.results += 1
            else:
                yield entry.path
        elif (suffix := _suffix(entry.name)) in OTHER_SUFFIXES:
            left_out.kinds[suffix] += 1


def _entries(folder: str, left_out: LeftOut) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; one that may not be read, such as lost+found, is counted."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except PermissionError:
        left_out.locked += 1


def _matching(pattern: str, left_out: LeftOut) -> Iterator[str]:
    """The images that a pattern fits; `glob` itself would hold the names of a whole folder."""
    folder, last = os.path.split(os.path.join(".", pattern))  # `**/` alone would leave out the folder we are in
    several = glob.iglob(os.path.join(folder, ""), recursive=True) if glob.has_magic(folder) else [folder]
    named = named_folder(Path(folder))
    for found in filter(os.path.isdir, several):
        path = Path(found)
        made = any(map(is_made, takewhile(lambda above: above != named, (path, *path.parents))))
        if last == "**":
            yield from _below(found, left_out, made=made)
            continue
        pictures = drawn_pictures(path)
        for entry in _entries(found, left_out):
            hidden = entry.name.startswith(".") and not last.startswith(".")
            if not hidden and fnmatch.fnmatch(entry.name, last) and _is_image(entry.name) and entry.is_file():
                if made or entry.name in pictures:
                    left_out.results += 1
                else:
                    yield os.path.join(found, entry.name)


def _is_image(name: str) -> bool:
    return _suffix(name) in IMAGE_SUFFIXES


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
