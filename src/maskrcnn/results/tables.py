"""Tables as CSV: a row per object, and a row per image, also for those without objects and the unreadable ones."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from maskrcnn.conversions.table import COLUMNS, object_table
from maskrcnn.errors import UserError
from maskrcnn.files import write_atomically
from maskrcnn.masks.measurements import INTENSITY, SHAPE
from maskrcnn.prediction import Prediction

if TYPE_CHECKING:
    from maskrcnn.results.finished import Finished

HEAD = (*COLUMNS, *SHAPE, INTENSITY)
"""What is known of an object; without masks, the shape but for its area is empty."""

SUMMARY = ("file_name", "height", "width", "objects"), ("mean_area", "total_area", "error")
"""What is known of an image, before and behind the counts of its classes."""

PIXEL_SIZE = "pixel_size.txt"
"""Beside tables that are not in pixels: the length of a pixel's side in their unit."""

DIGITS = 7
"""That count, whatever the unit: areas in square metres may be small."""

DECIMALS = 4
"""Behind the point at least, so that large areas in pixels stay whole."""


def object_rows(prediction: Prediction, pixel_size: float = 1.0) -> Iterator[list[Any]]:
    """A row under `HEAD` for each object."""
    table = object_table(prediction, _image(prediction) if prediction.has_masks else None, pixel_size)
    empty: Sequence[Any] = [""] * len(prediction)
    columns = [table.get(name, empty) for name in HEAD]
    return ([_cell(value) for value in row] for row in zip(*columns, strict=True))


def write(finished: Finished, folder: Path) -> Counter[str]:
    """`objects.csv` and `summary.csv`, and the size of a pixel where there is one."""
    _write(folder / "objects.csv", _all_objects(finished))
    _write(folder / "summary.csv", _summary(finished))
    if finished.pixel_size != 1:
        (folder / PIXEL_SIZE).write_text(f"{finished.pixel_size:g}\n")
    return Counter()


def pixel_size_of(folder: Path) -> float:
    """Of the tables that `write` left in a folder; 1 where they are in pixels, or there are none."""
    try:
        return float((folder / PIXEL_SIZE).read_text())
    except (OSError, ValueError):
        return 1.0


def _all_objects(finished: Finished) -> Iterator[list[Any]]:
    yield ["file_name", *HEAD]
    for image in finished:
        for row in object_rows(image.prediction, finished.pixel_size):
            yield [str(image.path), *row]


def _summary(finished: Finished) -> Iterator[list[Any]]:
    """How many objects of each class an image has, and the area they take."""
    classes, (before, behind) = finished.categories.names, SUMMARY
    yield [*before, *class_columns(classes), *behind]
    for image in finished:
        found, unit = image.prediction, finished.pixel_size**2
        areas = found.areas * unit
        counts = [found.counts.get(name, 0) for name in classes]
        mean = float(areas.mean()) if len(found) else math.nan
        yield [str(image.path), *found.image_size, len(found), *counts, *map(_cell, (mean, float(areas.sum()))), ""]
    for name, reason in finished.failures():
        yield [name, "", "", "", *("" for _ in classes), "", "", reason]


def class_columns(classes: Sequence[str]) -> list[str]:
    """The column of each class: its name; with "class" in front, where another column has this name."""
    others, columns = {*SUMMARY[0], *SUMMARY[1]}, []
    for name in classes:
        column = name
        while column in others or (column != name and column in classes):
            column = f"class {column}"
        columns.append(column)
    return columns


def _write(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    def fill(partial: Path) -> None:
        with partial.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    write_atomically(path, fill)


def _image(prediction: Prediction) -> npt.NDArray[Any] | None:
    """None where the file is not there any more: intensities stay empty."""
    try:
        return prediction.values()
    except UserError:
        return None


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return ""
    exponent = math.floor(math.log10(abs(value))) if value else 0
    return round(value, max(DIGITS - 1 - exponent, DECIMALS))
