"""Names of images, found again by names that start at another folder or are spelled otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from maskrcnn.structures.spelling import letters_of

_LONGEST_END = 8
"""Parts of a path; more are not looked for, since a name may consist of a million."""

_ENDING = re.compile(r"\.[a-z]{3,4}$")
"""Of a kind of picture; `.2` or `.v1` tell pictures apart."""


class ImageNames:
    """N names of images, to be found by names that start at another folder: `predict` writes paths as they were typed.

    The numbers that `predict` gives images are no help: they are those of its own list.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._as_they_are = _Ends(names)

    def find_all(self, stated: Iterable[str]) -> dict[str, int | None]:
        """The image that each name means; None if there is no such image, or several.

        As they are spelled first; then of the images that are left over those whose names differ in the case and the
        composition of letters, and at last those that are saved as another kind of picture.
        """
        places = {name: self._as_they_are.find(name) for name in stated}
        for spelled in (letters_of, _without_ending):
            unknown = [name for name, place in places.items() if place is None]
            if not unknown:
                break
            alike, taken = _Ends([spelled(name) for name in self._names]), set(places.values())
            found = {name: alike.find(spelled(name)) for name in unknown}
            places |= {name: place for name, place in found.items() if place not in taken}
        return places

    def is_of_several(self, stated: str) -> bool:
        """Whether a name means no image only because it is the end of several names."""
        return stated in self._as_they_are and self._as_they_are.find(stated) is None


class _Ends:
    """N names and their ends; what several have says nothing."""

    def __init__(self, names: Sequence[str]) -> None:
        self._whole: dict[str, int | None] = {}
        self._of_ends: dict[str, int | None] = {}
        for i, name in enumerate(map(_plain, names)):
            self._whole[name] = None if name in self._whole else i
            for end in set(ends_of(name)):
                self._of_ends[end] = None if end in self._of_ends else i

    def __contains__(self, stated: str) -> bool:
        return _plain(stated) in self._of_ends

    def find(self, stated: str) -> int | None:
        name = _plain(stated)
        found = (self._whole[end] for end in ends_of(name) if end in self._whole)
        return next(found, self._of_ends.get(name))


def ends_of(name: str) -> Iterator[str]:
    """The name, and its ends from the longest to the last part."""
    parts = re.split(r"[/\\]", name)[-_LONGEST_END:]
    yield name
    yield from ("/".join(parts[first:]) for first in range(len(parts)))


def _plain(name: str) -> str:
    """With slashes where Windows has backslashes, and without `./` in front."""
    return name.replace("\\", "/").removeprefix("./")


def _without_ending(name: str) -> str:
    return _ENDING.sub("", letters_of(name))
