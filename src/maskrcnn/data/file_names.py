"""Names of image files, as annotation files state them.

Labelling tools write names that are right on the machine of the labels alone: absolute paths, Windows' backslashes, a
folder such as `images/` in front, percent signs of an address, letters composed otherwise. What counts is then the
longest end of the name that is in the folder of images, after that its other spellings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from maskrcnn.structures.image_names import ends_of
from maskrcnn.structures.spelling import by_letters, letters_of

_LONGEST_NAME = 4096
"""Characters of an end; no file system has longer names."""

_UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""Label Studio puts eight hexadecimal digits in front of the name of a file that is uploaded to it."""


_LOCAL_FILE = re.compile(r"^.*\?d=")
"""Label Studio gives files of its machine as `/data/local-files/?d=folder/name`."""

_MOST_FILES = 2_000_000
"""At most this many files are searched for one that is missing."""


@dataclass(frozen=True)
class FoundImage:
    """The file that a stated name means.

    Attributes:
        name: relative to the folder of images.
        by_end: whether only the end of the stated name was found, which another image may have too.
    """

    name: str
    by_end: bool


class ImageFolder:
    """A folder of images, in which files are looked for by names that are not always right."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def find(self, stated: str) -> FoundImage | None:
        """The file that `stated` means; None when there is no such file, or when there are several.

        A name that is right as it stands is never changed: `100%.png` may be a file of this name.
        """
        if self._has(stated):
            return FoundImage(stated, by_end=False)
        for spelling in _spellings(stated):
            for end in ends_of(spelling):
                if (name := self._named(end)) is not None:
                    return FoundImage(name, by_end=end != spelling)
        return None

    def _named(self, name: str) -> str | None:
        if self._has(name):
            return name
        like = self._by_letters.get(letters_of(name)) if is_safe_name(name) else None
        return like if like is not None and self._has(like) else None  # a link may lead nowhere, or to a pipe

    def _has(self, name: str) -> bool:
        return is_safe_name(name) and os.path.isfile(self.path / name)

    @cached_property
    def _by_letters(self) -> dict[str, str | None]:
        """Every file by what its name says whatever the case and the composition of letters; None: more than one."""
        return by_letters(islice(self._files(), _MOST_FILES))

    def _files(self) -> Iterator[str]:
        for folder, _, files in os.walk(self.path):
            within = Path(folder).relative_to(self.path)
            yield from ((within / file).as_posix() for file in files)


def find_image(folder: Path, stated: str) -> str | None:
    """The name, relative to `folder`, of the file that `stated` means; None when there is no such file."""
    found = ImageFolder(folder).find(stated)
    return None if found is None else found.name


def file_identity(path: Path) -> Hashable:
    """Equal for two paths of one file: other spellings, links. A file that is not there is its path."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.normpath(path)
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def is_safe_name(name: str) -> bool:
    """Whether a name stays inside the folder it is joined to, on any system."""
    if not name or "\0" in name or name.startswith(("/", "\\")) or ":" in name[1:2]:
        return False
    return ".." not in re.split(r"[/\\]", name) and _is_encodable(name)


def _spellings(stated: str) -> Iterator[str]:
    """What a name may mean besides itself, the likely first: without query, decoded, without what a tool added."""
    name = _LOCAL_FILE.sub("", stated[-_LONGEST_NAME:])
    plain = unquote(name.split("?")[0])
    folder, _, last = plain.strip().rpartition("/")
    unmarked = "/".join(filter(None, (folder, _UPLOAD_MARK.sub("", last))))
    spellings = (stated, name, unquote(name), plain, plain.strip(), plain.replace("+", " "), unmarked)
    yield from dict.fromkeys(spellings)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
