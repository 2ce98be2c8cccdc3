"""Names of images, found again by names that start at another folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_LONGEST_END = 8
"""Parts of a path; more are not looked for, since a name may consist of a million."""


class ImageNames:
    """N names of images, to be found by names that start at another folder: `predict` writes paths as they were typed.

    The numbers that `predict` gives images are no help: they are those of its own list.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._numbers = {name: i for i, name in enumerate(names)}
        self._of_ends: dict[str, int | None] = {}
        for i, name in enumerate(names):
            for end in set(ends_of(name)):
                self._of_ends[end] = None if end in self._of_ends else i  # an end of two names says nothing

    def find(self, stated: str) -> int | None:
        """The image that a name means; None if there is no such image, or several."""
        found = (self._numbers[end] for end in ends_of(stated) if end in self._numbers)
        return next(found, self._of_ends.get(stated))

    def is_of_several(self, stated: str) -> bool:
        """Whether a name means no image only because it is the end of several names."""
        return self.find(stated) is None and stated in self._of_ends


def ends_of(name: str) -> Iterator[str]:
    """The name, and its ends from the longest to the last part."""
    parts = re.split(r"[/\\]", name)[-_LONGEST_END:]
    yield name
    yield from ("/".join(parts[first:]) for first in range(len(parts)))
