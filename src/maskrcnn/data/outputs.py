"""Folders that `predict` writes into, and what in them looks like an image but is one of its own results."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from itertools import takewhile
from pathlib import Path

from maskrcnn.data.file_names import is_safe_name
from maskrcnn.errors import UserError
from maskrcnn.files import open_regular

ROWS = "predictions.jsonl"
"""A line for each finished image."""

LABEL_MAPS = "label_maps"
"""The folder of label maps, which are named as the overlays are."""

PANOPTIC = "panoptic"
"""The folder of the PNG files of COCO panoptic."""

WRITTEN = ".written.json"
"""In the folder of each form of results: its files as they were written, by size and time."""


def drawn_pictures(output: Path) -> frozenset[str]:
    """The names of the overlays that the rows in a folder name; none where there are no rows."""
    try:
        with open_regular(output / ROWS) as rows:
            return frozenset(name for line in rows if (name := _picture(line)) is not None)
    except UserError:
        return frozenset()


def _picture(line: bytes) -> str | None:
    """None of what is no row, too: whoever keeps rows says so."""
    try:
        row = json.loads(line) if b'"picture"' in line else None
    except (ValueError, RecursionError):
        return None
    name = row.get("picture") if isinstance(row, dict) else None
    return name if isinstance(name, str) and is_safe_name(name) else None


def is_output(folder: Path) -> bool:
    """Whether `predict` has written into this folder."""
    return (folder / ROWS).exists()


def is_made(folder: Path) -> bool:
    """Whether `predict` made this folder: a form of results, the label maps or the segments of an output."""
    return (folder / WRITTEN).exists() or (folder.name in (LABEL_MAPS, PANOPTIC) and is_output(folder.parent))


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
