"""LabelMe: one JSON file for an image, with polygons, other shapes and bitmaps.

https://github.com/wkentaro/labelme, versions 3 to 6. Shapes with the same label and the same group are one object.
`__ignore__` is a region that is neither object nor background; `_background_` is nothing. Every closed shape is a mask,
as in LabelMe's own exports; lines and points have no area and are reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from maskrcnn.data.formats.bitmaps import decode_base64, decode_picture, foreground, rle_at, union
from maskrcnn.data.formats.content import ContentBuilder, Json, LabelContent
from maskrcnn.data.formats.json_files import first_json, json_files
from maskrcnn.data.formats.listing import PICTURES, Listing, folder_of, split_of
from maskrcnn.data.formats.shapes import Flat, ellipse, points_of, rectangle, stated_size
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.structures import RLE, Size
from maskrcnn.text import brief

LOOKED_FOR = "LabelMe's JSON files (shapes, imagePath)"

IGNORED, NOTHING = "__ignore__", "_background_"

WITHOUT_AREA = ("line", "linestrip", "point", "points")


@dataclass
class _Group:
    """The shapes of one object."""

    where: str
    rings: list[Flat] = field(default_factory=list)
    masks: list[RLE] = field(default_factory=list)


def recognise(listing: Listing) -> bool:
    return any(_is_label_file(listing.peek(name)) for name in first_json(listing))


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    for name, content in json_files(listing, builder, _is_label_file):
        _read_file(listing, name, content, builder)
    return builder.content()


def _is_label_file(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def _read_file(listing: Listing, name: str, content: Json, builder: ContentBuilder) -> None:
    picture = _picture(listing, name, content)
    if content.get("imageData") and not _is_picture(listing, picture):
        builder.fault(Fault.PICTURE_EMBEDDED, name, picture)
        return
    size = stated_size(content.get("imageHeight"), content.get("imageWidth")) or listing.size(picture)
    image = builder.add_image(picture, size, split_of(name))
    for (label, _), group in _groups(content["shapes"], name, size, builder).items():
        _add_object(image, label, group, size, builder)


def _picture(listing: Listing, name: str, content: Json) -> str:
    """The image: by its path, which may be of another machine, else by the name of the label file."""
    stated = content["imagePath"]
    found = listing.picture(stated, folder_of(name)) if isinstance(stated, str) else ""
    if _is_picture(listing, found):
        return found
    return listing.picture_of_stem(name.rpartition(".")[0]) or found or name


def _is_picture(listing: Listing, name: str) -> bool:
    return listing.has(name) and name.lower().endswith(PICTURES)


def _groups(shapes: list[Any], name: str, size: Size | None, builder: ContentBuilder) -> dict[tuple[str, str], _Group]:
    """Shapes by label and group; a shape without a group is an object of its own."""
    groups: dict[tuple[str, str], _Group] = {}
    for number, shape in enumerate(shapes):
        where = f"{name}: shape {number}"
        part = _part(shape, where, size, builder)
        if part is None or shape.get("label") == NOTHING:
            continue
        group, label = shape.get("group_id"), shape.get("label")
        key = (label if isinstance(label, str) else "", f"group {brief(group)}" if group is not None else str(number))
        found = groups.setdefault(key, _Group(where))
        (found.masks if isinstance(part, RLE) else found.rings).append(part)  # type: ignore[arg-type]
    return groups


def _part(shape: Any, where: str, size: Size | None, builder: ContentBuilder) -> Flat | RLE | None:
    """The outline or the pixels of a shape; None, with a note, where there are none."""
    if not isinstance(shape, dict):
        builder.fault(Fault.SHAPE_MALFORMED, where, brief(shape))
        return None
    kind, points = shape.get("shape_type", "polygon"), points_of(shape.get("points"))
    if kind in WITHOUT_AREA:
        builder.fault(Fault.SHAPE_WITHOUT_AREA, where, kind)
    elif kind == "mask":
        return _mask(shape, points, where, size, builder)
    elif kind not in ("polygon", "rectangle", "circle", "oriented_rectangle"):
        builder.fault(Fault.SHAPE_UNKNOWN, where, brief(kind))
    elif points is None or (kind in ("rectangle", "circle") and len(points) != 4):
        builder.fault(Fault.SHAPE_MALFORMED, where, f"{kind} of {brief(shape.get('points'))}")
    elif kind == "rectangle":
        return rectangle(*points)
    elif kind == "circle":  # its centre and a point on its rim
        radius = math.hypot(points[2] - points[0], points[3] - points[1])
        return ellipse(points[0], points[1], radius, radius)
    else:
        return points
    return None


def _mask(shape: Json, points: Flat | None, where: str, size: Size | None, builder: ContentBuilder) -> RLE | None:
    """A bitmap whose first pixel is the first point; the second is its last pixel, so the bitmap's own size counts."""
    try:
        bitmap = foreground(decode_picture(decode_base64(shape.get("mask"), "a mask"), where))
    except UserError as error:
        builder.failure(Fault.SHAPE_MALFORMED, where, error)
        return None
    if points is None or len(points) != 4 or size is None or bitmap.ndim != 2:
        builder.fault(Fault.SHAPE_MALFORMED, where, f"mask of {brief(shape.get('points'))}")
        return None
    mask = rle_at(bitmap, round(min(points[0], points[2])), round(min(points[1], points[3])), size)
    if mask is None:
        builder.fault(Fault.SHAPE_OUTSIDE, where, brief(points))
    return mask


def _add_object(image: int, label: str, group: _Group, size: Size | None, builder: ContentBuilder) -> None:
    crowd = label == IGNORED
    name = None if crowd else label
    if group.masks and size is not None:
        builder.add_rle(image, name, union(group.masks, group.rings, size), group.where, crowd=crowd)
    else:
        builder.add_polygons(image, name, group.rings, group.where, crowd=crowd)
