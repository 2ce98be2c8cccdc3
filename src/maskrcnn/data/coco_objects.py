"""One COCO annotation -> one object of the store, repaired or dropped by the rules in `report.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskrcnn.data.coco_masks import Box, Note, mask_box, read_mask
from maskrcnn.data.report import Fault
from maskrcnn.structures.labels import ObjectEntry
from maskrcnn.json_values import is_number
from maskrcnn.structures import Size
from maskrcnn.text import brief

DISAGREEMENT_PIXELS = 2.0
"""A stated box may differ from the mask's by this much on each side (rounding, inclusive ends) ..."""
DISAGREEMENT_IOU = 0.5
"""... or have at least this IoU with it, before it counts as wrong."""
OUTSIDE_PIXELS = 1.0
"""A box reaching less far outside the image is cut at the border without a word."""


def read_object(
    entry: Mapping[str, Any], annotation_id: int, label: int, size: Size, note: Note, *, need_masks: bool = True
) -> ObjectEntry | None:
    """The object an annotation describes in an image of `size`, or None when nothing of it is usable.

    The mask says where the object is; the stated box is kept when it agrees with that. An object that is known by its
    box alone is a region to be ignored, unless masks are not needed.
    """
    mask = read_mask(entry.get("segmentation"), size, note)
    extent = None if mask is None else _clipped(mask_box(mask), size)
    if mask is None or extent is None:
        return _boxed_object(entry, annotation_id, label, size, note, need_masks)
    box = _clipped(_agreed_box(entry, extent, size, note), size) or extent
    return ObjectEntry(annotation_id, label, box, mask, _is_crowd(entry, note))


def _boxed_object(
    entry: Mapping[str, Any], annotation_id: int, label: int, size: Size, note: Note, need_masks: bool
) -> ObjectEntry | None:
    """An object that is known by its box alone."""
    stated = _stated_box(entry)
    box = None if isinstance(stated, Fault) else _clipped(stated, size)
    if box is None:
        note(Fault.NOTHING_USABLE, f"bbox {brief(entry.get('bbox'))}")
        return None
    if not need_masks:
        return ObjectEntry(annotation_id, label, box, None, _is_crowd(entry, note))
    note(Fault.MASK_UNUSABLE, "")
    return ObjectEntry(annotation_id, label, box, None, ignore=True)


def _agreed_box(entry: Mapping[str, Any], extent: Box, size: Size, note: Note) -> Box:
    """The stated box where it agrees with `extent`, the box of the mask; else `extent`."""
    stated = _stated_box(entry)
    if isinstance(stated, Fault):
        note(stated, brief(entry.get("bbox")))
        return extent
    if not _agree(stated, extent):
        note(Fault.BOX_DISAGREES, f"bbox {brief(entry['bbox'])}, the mask spans x1, y1, x2, y2 = {extent!r}")
        return extent
    x1, y1, x2, y2 = stated
    if max(-x1, -y1, x2 - size[1], y2 - size[0]) > OUTSIDE_PIXELS:
        note(Fault.BOX_OUTSIDE, brief(entry["bbox"]))
    return stated


def _stated_box(entry: Mapping[str, Any]) -> Box | Fault:
    """`bbox` (x, y, width, height) as x1, y1, x2, y2, or what is wrong with it."""
    numbers = entry.get("bbox")
    if not isinstance(numbers, list) or len(numbers) != 4 or not all(map(is_number, numbers)):
        return Fault.BOX_MISSING
    x, y, width, height = map(float, numbers)
    return (x, y, x + width, y + height) if width > 0 and height > 0 else Fault.BOX_DEGENERATE


def _clipped(box: Box, size: Size) -> Box | None:
    """The part of a box inside the image, or None when that has no width or height."""
    x1, y1, x2, y2 = box
    x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, float(size[1])), min(y2, float(size[0]))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _agree(a: Box, b: Box) -> bool:
    if max(abs(u - v) for u, v in zip(a, b, strict=True)) <= DISAGREEMENT_PIXELS:
        return True
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    return overlap >= DISAGREEMENT_IOU * (_box_area(a) + _box_area(b) - overlap)


def _box_area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _is_crowd(entry: Mapping[str, Any], note: Note) -> bool:
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        note(Fault.CROWD_FLAG, brief(crowd))
    return bool(crowd == 1)
