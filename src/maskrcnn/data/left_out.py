"""What is taken from a folder by its ending, and what is left out, of which the user is told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from maskrcnn.data.outputs import is_made, is_output
from maskrcnn.text import counted

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".tif", ".tiff", ".bmp"})
"""What is taken from a folder; a file named outright may have any name, since its content decides."""

OTHER_SUFFIXES = frozenset(
    {".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd", ".svg", ".ppm", ".pgm", ".dng", ".cr2", ".cr3", ".nef"}
    | {".arw", ".dcm", ".czi", ".nd2", ".lif", ".lsm", ".svs", ".ndpi", ".mrxs", ".mp4", ".mov", ".avi"}
)
"""Images and films that are not taken from a folder; who names one is told how many there are."""

ARRAY_SUFFIXES = frozenset({".npy"})
"""What is taken where there is nothing of these: beside pictures, arrays are something else as a rule."""

_MOST_LOOKED_AT = 500
"""Entries of the folders in a folder, to see which have images."""

_MOST_LISTED = 50
"""Of which so many may be in one folder, and as many again in the folders in it."""


@dataclass
class LeftOut:
    """What a folder or a pattern has beside the images that are taken from it.

    Attributes:
        results: images that `predict` wrote itself.
        kinds: how many files have each of `OTHER_SUFFIXES`.
        folders: in it that have images, as far as a short look tells.
        more_folders: whether there are others that were not looked into.
        locked: folders that may not be looked into, where all are.
    """

    results: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    folders: int = 0
    more_folders: bool = False
    locked: int = 0

    def look_at(self, candidates: Iterable[Path]) -> None:
        """Count what is no image that is taken."""
        looks = iter(range(_MOST_LOOKED_AT))
        for path in candidates:
            if (suffix := path.suffix.lower()) in OTHER_SUFFIXES:
                self.kinds[suffix] += 1
            elif suffix not in IMAGE_SUFFIXES and os.path.isdir(path):
                self.folders += _has_images(path, looks)
        self.more_folders = next(looks, None) is None

    def but(self) -> str:
        """The end of a sentence that says there are no images."""
        return f" but {', '.join(parts)}" if (parts := self._unwanted()) else ""

    def tell(self, source: str, note: Callable[[str], object]) -> None:
        """One line, if anything is left out."""
        parts = [*self._unwanted(), *(f"{number} {suffix}" for suffix, number in self.kinds.most_common())]
        if self.folders:
            folders = f"{'at least ' * self.more_folders}{counted(self.folders, 'folder')} with images"
            parts.append(f"{folders} (taken by {str(Path(source) / '**')!r})")
        if parts:
            note(f"{source}: left out {', '.join(parts)}")

    def _unwanted(self) -> list[str]:
        parts = [f"{counted(self.results, 'result')} of predict"] if self.results else []
        return [*parts, f"{counted(self.locked, 'folder')} that may not be read"] if self.locked else parts


def _has_images(folder: Path, looks: Iterator[int]) -> bool:
    """In it or in a folder in it, as far as so many looks tell; results of `predict` are none."""
    paths = islice(_paths_in(folder), 2 * _MOST_LISTED)
    return any(
        os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES and os.path.isfile(path)
        for _, path in zip(looks, paths, strict=False)
    )


def _paths_in(folder: Path, *, below: bool = True) -> Iterator[str]:
    """The first of a folder, and of the folders in it; none of what `predict` wrote, or of what may not be read."""
    if is_made(folder) or is_output(folder):
        return
    paths: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        paths += (entry.path for entry in islice(entries, _MOST_LISTED))
    yield from paths
    for path in paths:
        if below and os.path.isdir(path):
            yield from _paths_in(Path(path), below=False)
