"""A table with a row for each object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from maskrcnn.detected import DetectedObjects
from maskrcnn.masks.measurements import measure

COLUMNS = ("object", "class", "score", "x1", "y1", "x2", "y2")


def object_table(
    found: DetectedObjects, image: npt.NDArray[Any] | None = None, pixel_size: float = 1.0
) -> dict[str, Sequence[Any]]:
    """Columns by their names: number from 1, class, score, box, and the measurements of `masks.measurements`.

    Args:
        found: D objects; without masks the area is the box's, and nothing else is measured.
        image: their image, for the mean intensity.
        pixel_size: the length of a pixel's side; boxes stay in pixels, what is measured is in its unit.
    """
    if found.has_masks:
        measured = measure(found.run_lengths, image, pixel_size)
    else:
        measured = {"area": found.areas * pixel_size**2}
    columns = (list(range(1, len(found) + 1)), found.names, found.scores.tolist(), *found.boxes.T.tolist())
    sides = columns if len(found) else [[] for _ in COLUMNS]
    return {**dict(zip(COLUMNS, sides, strict=True)), **{name: values.tolist() for name, values in measured.items()}}
