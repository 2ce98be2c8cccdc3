"""Cityscapes' pixels that do not count, as the reader of that form leaves them in image records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number
from maskrcnn.masks.rle_coco import rle_from_coco
from maskrcnn.structures import Size
from maskrcnn.structures.street import StreetPixels

FIELD = "cityscapes"
VOID, LEFT_OUT = "void", "left_out"


def read_street(images: Iterable[Any], sizes: Mapping[int, Size]) -> StreetPixels | None:
    """None where no image record has any; of images of these ids and sizes."""
    found: dict[str, dict[int, Mapping[str, Any]]] = {VOID: {}, LEFT_OUT: {}}
    for entry in images:
        stated = entry.get(FIELD) if isinstance(entry, dict) else None
        number = id_number(entry.get("id")) if isinstance(stated, dict) else None
        if isinstance(stated, dict) and number is not None and number in sizes:
            for name, masks in found.items():
                if _fits(stated.get(name), sizes[number]):
                    masks.setdefault(number, stated[name])
    return StreetPixels(found[VOID], found[LEFT_OUT]) if found[VOID] else None


def _fits(mask: Any, size: Size) -> bool:
    with suppress(UserError):
        return isinstance(mask, dict) and rle_from_coco(mask).size == size
    return False
