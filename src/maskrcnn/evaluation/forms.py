"""The forms that boxes, masks and ids have in COCO files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number, is_number
from maskrcnn.masks.polygons_coco import coco_polygons
from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_coco import rle_from_coco
from maskrcnn.structures import Size

Annotation = Mapping[str, Any]
"""One object as COCO writes it, in a ground truth or in a results list."""


def usual_form(annotation: Annotation) -> Annotation:
    """An annotation as COCO's tools expect it, where labelling tools write it otherwise; mostly the same object.

    Ids may be text, polygons flat or made of points, and the box may be missing: the reader of the training data
    understands these, so one measures with them too.
    """
    changes: dict[str, Any] = {
        key: id_number(annotation[key]) for key in ("image_id", "category_id") if isinstance(annotation.get(key), str)
    }
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, list) and (polygons := coco_polygons(segmentation)) is not segmentation:
        changes["segmentation"] = segmentation = polygons
    if not is_box(annotation.get("bbox")) and (box := _box_of_mask(segmentation)) is not None:
        changes["bbox"] = box
    return {**annotation, **changes} if changes else annotation


def is_box(value: object) -> bool:
    """Whether this is COCO's [x, y, width, height]."""
    return is_list_of_numbers(value, 4)


def is_list_of_numbers(value: object, count: int) -> bool:
    """Whether this is a list of so many numbers of bearable size."""
    return isinstance(value, list | tuple) and len(value) == count and all(is_number(v) for v in value)


def is_mask(value: object, size: Size) -> bool:
    """Whether this has the form of an RLE of this size, or of polygons with at least three points each."""
    if isinstance(value, Mapping):
        return value.get("size") in (list(size), size) and isinstance(value.get("counts"), str | bytes | list)
    return _is_polygons(value)


def is_decodable(geometry: object) -> bool:
    """Whether an RLE has run lengths that make sense; anything else passes."""
    if not isinstance(geometry, Mapping):
        return True
    try:
        rle_from_coco(geometry)
    except UserError:
        return False
    return True


def _is_polygons(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(_is_ring(ring) for ring in value)


def _is_ring(ring: object) -> bool:
    return isinstance(ring, list) and len(ring) >= 6 and len(ring) % 2 == 0 and all(is_number(v) for v in ring)


def _box_of_mask(segmentation: Any) -> list[float] | None:
    """[x, y, width, height] around a mask; None where there is no usable one."""
    if isinstance(segmentation, Mapping) and is_decodable(segmentation):
        x1, y1, x2, y2 = rle_window(rle_from_coco(segmentation))
    elif _is_polygons(segmentation):
        xs = [x for ring in segmentation for x in ring[::2]]
        ys = [y for ring in segmentation for y in ring[1::2]]
        x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
    else:
        return None
    return [x1, y1, x2 - x1, y2 - y1]
