"""COCO's `segmentation`: a list of polygons, or run lengths as a list or a compressed string."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.polygon_crossings import FINE, count_crossings
from maskrcnn.masks.polygons_coco import coco_polygons
from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_coco import LARGEST_LABELLED, rle_from_coco
from maskrcnn.structures import RLE, Polygons, Size
from maskrcnn.structures.masks import FloatArray
from maskrcnn.text import brief

Note = Callable[[Fault, str], None]
"""Takes down a fault of the annotation at hand."""

LARGEST_COORDINATE = 1e9
"""Pixels; a larger number is a mistake, and so are infinity and NaN."""

CROSSINGS_PER_POINT = 16
"""An edge may cross so many pixel columns whatever the size of the image: rings may overlap."""

Box = tuple[float, float, float, float]


def read_mask(segmentation: Any, size: Size, note: Note) -> Polygons | RLE | None:
    """The mask a `segmentation` describes in an image of `size`, or None when nothing of it is usable."""
    if isinstance(segmentation, dict):
        return _read_rle(segmentation, size, note)
    if isinstance(segmentation, list) and segmentation:
        return _read_polygons(segmentation, size, note)
    return None


def mask_box(mask: Polygons | RLE) -> Box:
    """x1, y1, x2, y2 around a mask; of an RLE without ones, a box of no size."""
    if isinstance(mask, RLE):
        return rle_window(mask)
    points = mask.rings[0] if len(mask.rings) == 1 else np.concatenate(mask.rings)
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x1, y1, x2, y2


def _read_polygons(entries: list[Any], size: Size, note: Note) -> Polygons | None:
    polygons = coco_polygons(entries)
    if polygons is not entries:
        note(Fault.POLYGON_UNNESTED, "")
    rings = [ring for entry in polygons if (ring := _read_ring(entry, note)) is not None]
    if not _is_bearable(rings, size):
        note(Fault.POLYGON_TANGLED, f"{sum(map(len, rings))} points")
        return None
    return Polygons(tuple(rings)) if rings else None


def _is_bearable(rings: list[FloatArray], size: Size) -> bool:
    """Whether drawing costs no more than in proportion to the points and the area.

    A ring that does not cross itself crosses the columns once at each fine grid point at most.
    """
    height, width = size
    num_points = sum(map(len, rings))
    if num_points <= FINE * height:
        return True
    return count_crossings(rings, width) <= FINE * height * width + CROSSINGS_PER_POINT * num_points


def _read_ring(entry: Any, note: Note) -> FloatArray | None:
    """(n, 2) points, or None."""
    try:
        numbers = np.array(entry, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        note(Fault.POLYGON_NUMBERS, brief(entry))
        return None
    if numbers.ndim != 1 or not np.abs(numbers).max(initial=0) <= LARGEST_COORDINATE:
        note(Fault.POLYGON_NUMBERS, brief(entry))
    elif len(numbers) < 6:
        note(Fault.POLYGON_SHORT, f"{len(numbers)} numbers")
    elif len(numbers) % 2:
        note(Fault.POLYGON_ODD, f"{len(numbers)} numbers")
    else:
        if isinstance(entry[0], str):
            note(Fault.POLYGON_TEXT, brief(entry))
        return numbers.reshape(-1, 2)
    return None


def _read_rle(entry: dict[str, Any], size: Size, note: Note) -> RLE | None:
    if entry.get("size") != list(size):
        note(Fault.RLE_SIZE, f"{brief(entry.get('size'))}, the image has {list(size)}")
        return None
    try:
        return rle_from_coco(entry, LARGEST_LABELLED)  # the frame is that of an image
    except (UserError, RecursionError) as error:  # the message may try to print something nested without end
        note(Fault.RLE_BROKEN, str(error))
        return None
