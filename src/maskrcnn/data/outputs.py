"""Folders that `predict` writes into, and what in them looks like an image but is one of its own results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path, PureWindowsPath
from typing import TypeGuard

from maskrcnn.data.file_names import is_safe_name
from maskrcnn.errors import UserError
from maskrcnn.files import open_regular
from maskrcnn.marks import is_marked

ROWS = "predictions.jsonl"
"""A line for each finished image."""

LABEL_MAPS = "label_maps"
"""The folder of label maps, which are named as the overlays are."""

PANOPTIC = "panoptic"
"""The folder of the PNG files of COCO panoptic."""

OVERLAYS = (".png", ".jpg")
"""How the names of overlays end."""

WRITTEN = ".written.json"
"""In the folder of each form of results: its files as they were written, by size and time."""


def result_files(output: Path) -> Iterator[Path]:
    """The overlays, label maps and segments that the rows in a folder name; none where there are no rows.

    Rows may come from anywhere: only plain names count, and only files that `predict` has marked as its own.
    """
    try:
        with open_regular(output / ROWS) as rows:
            for line in rows:
                for folder, name in _named(line):
                    if is_plain_name(name) and is_marked(output / folder / name):
                        yield output / folder / name
    except UserError:
        return


def is_plain_name(name: object) -> TypeGuard[str]:
    """Whether it names a file in a folder, and nothing below or outside it."""
    return isinstance(name, str) and is_safe_name(name) and PureWindowsPath(name).name == name != ".."


def _named(line: bytes) -> Iterator[tuple[str, object]]:
    """Folder and name of each file of a row.

    Nothing for a line that is no row; `ResultRows` reports those, unless all rows are replaced.
    """
    try:
        row = json.loads(line) if b'"picture"' in line or b'"label_map"' in line else None
    except (ValueError, RecursionError):
        return
    if isinstance(row, dict):
        segments = row.get("panoptic")
        yield "", row.get("picture")
        yield LABEL_MAPS, row.get("label_map")
        yield PANOPTIC, segments.get("file_name") if isinstance(segments, dict) else None


def drawn_pictures(output: Path) -> frozenset[str]:
    """The names of the overlays in a folder that `predict` has written into; none in others."""
    if not is_output(output):
        return frozenset()
    return frozenset(path.name for path in output.iterdir() if path.suffix in OVERLAYS and is_marked(path))


def is_output(folder: Path) -> bool:
    """Whether `predict` has written into this folder."""
    return os.path.exists(folder / ROWS)  # False also where the folder may not be looked into, such as lost+found


def is_made(folder: Path) -> bool:
    """Whether `predict` made this folder: a form of results, the label maps or the segments of an output.

    A form that was moved out of its output is somebody's data.
    """
    is_form = folder.name in (LABEL_MAPS, PANOPTIC) or os.path.exists(folder / WRITTEN)
    return is_form and is_output(folder.parent)


def without_results(images: Iterable[Path], base: Path) -> list[Path]:
    """The images that are no results of `predict`.

    Args:
        images: files in `base` or below it.
        base: the folder that was named: where it is itself one of the made ones, its images are wanted.
    """
    pictures, made = cache(drawn_pictures), cache(is_made)

    def is_result(path: Path) -> bool:
        below = takewhile(lambda folder: folder != base, path.parents)
        return path.name in pictures(path.parent) or any(map(made, below))

    return [path for path in images if not is_result(path)]
