"""One COCO annotation -> one object of the store, repaired or dropped by the rules in `report.py`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from maskrcnn.data.coco_masks import Box, Note, mask_box, read_mask
from maskrcnn.data.report import Fault
from maskrcnn.json_values import is_number, number_of
from maskrcnn.structures import Size
from maskrcnn.structures.labels import ObjectEntry
from maskrcnn.text import brief

DISAGREEMENT_PIXELS = 2.0
"""A stated box may differ from the mask's by this much on each side (rounding, inclusive ends) ..."""
DISAGREEMENT_IOU = 0.5
"""... or have at least this IoU with it, before it counts as wrong."""
OUTSIDE_PIXELS = 1.0
"""A box reaching less far outside the image is cut at the border without being reported."""


def read_object(
    entry: Mapping[str, Any],
    annotation_id: int,
    label: int,
    size: Size,
    note: Note,
    *,
    need_masks: bool = True,
    is_crowd: bool = False,
) -> ObjectEntry | None:
    """The object an annotation describes in an image of `size`, or None when nothing of it is usable.

    The mask says where the object is; the stated box is kept when it agrees with that. An object that is known by its
    box alone is a region to be ignored, unless masks are not needed.
    """
    mask = read_mask(entry.get("segmentation"), size, note)
    extent = None if mask is None else mask_box(mask)
    if (mask is None or extent is None) or _clipped(extent, size) is None:
        return _boxed_object(entry, annotation_id, label, size, note, need_masks, is_crowd)
    measure = _numbers(entry.get("bbox"))
    stated = _agreed_box(entry, measure, extent, size, note)
    if _is_normalised(extent, stated, size):
        note(Fault.NORMALISED, f"the mask spans x1, y1, x2, y2 = {extent!r}")
        return None
    box = _clipped(stated or extent, size) or _clipped(extent, size)
    assert box is not None
    measured = None if stated is None else measure
    return ObjectEntry(annotation_id, label, box, mask, is_crowd, stated_box=measured, area=_stated_area(entry))


def read_crowd(entry: Mapping[str, Any], note: Note) -> bool:
    """Whether `iscrowd` says that this is a crowd."""
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        note(Fault.CROWD_FLAG, brief(crowd))
    return bool(crowd == 1)


def _boxed_object(
    entry: Mapping[str, Any], annotation_id: int, label: int, size: Size, note: Note, need_masks: bool, is_crowd: bool
) -> ObjectEntry | None:
    """An object that is known by its box alone."""
    measure = _measure_alone(entry, note)
    stated = None if measure is None else _corners(measure)
    box = None if stated is None else _clipped(stated, size)
    if stated is None or box is None:
        note(Fault.NOTHING_USABLE, f"bbox {brief(entry.get('bbox'))}")
        return None
    if _is_normalised(stated, None, size):
        note(Fault.NORMALISED, f"bbox {brief(entry.get('bbox'))}")
        return None
    if need_masks and not is_crowd:
        note(Fault.MASK_UNUSABLE, "")
    ignore = need_masks or is_crowd
    return ObjectEntry(annotation_id, label, box, None, ignore, stated_box=measure, area=_stated_area(entry))


def _measure_alone(entry: Mapping[str, Any], note: Note) -> Box | None:
    """x, y, width, height as stated, or else around the keypoints; None where that has no size."""
    measure = _numbers(entry.get("bbox"))
    if measure is None and (measure := _measure_of_keypoints(entry.get("keypoints"))) is not None:
        note(Fault.BOX_OF_KEYPOINTS, brief(entry.get("bbox")))
    return measure if measure is not None and measure[2] > 0 and measure[3] > 0 else None


def _measure_of_keypoints(stated: Any) -> Box | None:
    """x, y, width, height around the labelled keypoints."""
    if not isinstance(stated, list) or len(stated) % 3 or not all(map(is_number, stated)):
        return None
    labelled = [(x, y) for x, y, seen in zip(stated[::3], stated[1::3], stated[2::3], strict=True) if seen > 0]
    if not labelled:
        return None
    xs, ys = zip(*labelled, strict=True)
    return min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)


def _is_normalised(extent: Box, stated: Box | None, size: Size) -> bool:
    """Whether coordinates are fractions of the width and height: all from 0 to 1, and not a whole pixel's."""
    coordinates = (*extent, *(stated or ()))
    within = min(coordinates) >= 0 and max(coordinates) <= 1 and max(size) > 1
    return within and any(value != int(value) for value in coordinates)


def _agreed_box(entry: Mapping[str, Any], measure: Box | None, extent: Box, size: Size, note: Note) -> Box | None:
    """The stated box, `measure`, as x1, y1, x2, y2 where it agrees with `extent`, the box of the mask."""
    stated = _stated_box(measure)
    if isinstance(stated, Fault):
        note(stated, brief(entry.get("bbox")))
        return None
    seen = _clipped(extent, size)
    if seen is None or not _agree(stated, seen):
        note(Fault.BOX_DISAGREES, f"bbox {brief(entry['bbox'])}, the mask spans x1, y1, x2, y2 = {seen!r}")
        return None
    x1, y1, x2, y2 = stated
    if max(-x1, -y1, x2 - size[1], y2 - size[0]) > OUTSIDE_PIXELS:
        note(Fault.BOX_OUTSIDE, brief(entry["bbox"]))
    return stated


def _stated_box(measure: Box | None) -> Box | Fault:
    """x, y, width, height as x1, y1, x2, y2, or what is wrong with it."""
    if measure is None:
        return Fault.BOX_MISSING
    return _corners(measure) if measure[2] > 0 and measure[3] > 0 else Fault.BOX_DEGENERATE


def _corners(measure: Box) -> Box:
    """x, y, width, height -> x1, y1, x2, y2."""
    x, y, width, height = measure
    return x, y, x + width, y + height


def _numbers(values: Any) -> Box | None:
    """Four numbers as they are stated; text that spells one counts."""
    if not isinstance(values, list | tuple) or len(values) != 4:
        return None
    x, y, width, height = map(number_of, values)
    return None if x is None or y is None or width is None or height is None else (x, y, width, height)


def _stated_area(entry: Mapping[str, Any]) -> float:
    """Pixels; NaN where none is stated that can be."""
    area = number_of(entry.get("area"))
    return math.nan if area is None else area


def _clipped(box: Box, size: Size) -> Box | None:
    """The part of a box inside the image, or None when that has no width or height."""
    x1, y1, x2, y2 = box
    height, width = size
    if not (x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height):
        x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _agree(a: Box, b: Box) -> bool:
    if all(abs(u - v) <= DISAGREEMENT_PIXELS for u, v in zip(a, b, strict=True)):
        return True
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    return overlap >= DISAGREEMENT_IOU * (_box_area(a) + _box_area(b) - overlap)


def _box_area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
