"""Names of images, found again by names that start at another folder or are spelled otherwise."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

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

    def find_all(self, stated: Iterable[str]) -> dict[str, Collection[int]]:
        """The images that each name may mean: one; several, where it is the end of their names; or none.

        As they are spelled first; then of the images that are left over those whose names differ in the case and the
        composition of letters, and at last those that are saved as another kind of picture.
        """
        places = {name: self._as_they_are.find(name) for name in stated}
        for spelled in (letters_of, _without_ending):
            unknown = [name for name, found in places.items() if not found]
            if not unknown:
                break
            alike = _Ends([spelled(name) for name in self._names])
            taken = {place for found in places.values() if len(found) == 1 for place in found}
            others = {name: alike.find(spelled(name)) for name in unknown}
            places |= {name: found for name, found in others.items() if not taken.issuperset(found)}
        return places


class _Ends:
    """N names and their ends."""

    def __init__(self, names: Sequence[str]) -> None:
        self._whole, self._of_ends = _Places(), _Places()
        for place, name in enumerate(map(_plain, names)):
            self._whole.add(name, place)
            for end in set(ends_of(name)):
                self._of_ends.add(end, place)

    def find(self, stated: str) -> Collection[int]:
        """Whose whole name is the longest end of `stated`; else whose names end in `stated`."""
        name = _plain(stated)
        found = (self._whole.of(end) for end in ends_of(name))
        return next(filter(None, found), self._of_ends.of(name))


class _Places:
    """Where each key is; only those that are in several places have a set, since there may be millions of others."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._several: dict[str, set[int]] = {}

    def add(self, key: str, place: int) -> None:
        first = self._first.setdefault(key, place)
        if first != place:
            self._several.setdefault(key, {first}).add(place)

    def of(self, key: str) -> Collection[int]:
        if key in self._several:
            return self._several[key]
        return (self._first[key],) if key in self._first else ()


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
