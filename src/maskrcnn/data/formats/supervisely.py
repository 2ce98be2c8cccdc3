"""Supervisely: `ann/NAME.json` for each image `img/NAME`, with polygons that may have holes, bitmaps and rectangles.

https://developer.supervisely.com/getting-started/supervisely-annotation-format. A bitmap is base64 text of a PNG,
packed by zlib. A rectangle is a box. `meta.json` names the classes.
"""

from __future__ import annotations

import zlib
from typing import Any

from maskrcnn.data.formats.bitmaps import Part, decode_base64, decode_picture, foreground, rle_at, with_holes
from maskrcnn.data.formats.content import ContentBuilder, Json, LabelContent, is_class_name
from maskrcnn.data.formats.json_files import json_files
from maskrcnn.data.formats.listing import Listing, around, folder_of, split_of
from maskrcnn.data.formats.shapes import entries, mapping, numbers, points_of, rectangle, stated_size
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.structures import RLE, Size
from maskrcnn.text import brief

LOOKED_FOR = "Supervisely (ann/ beside img/)"

_OF_PROJECT = ("meta.json", "key_id_map.json", "obj_class_to_machine_color.json")
"""What lies beside the labels."""

MAX_PNG = 256 * 2**20
"""Bytes of one unpacked bitmap."""

WITHOUT_AREA = ("line", "point", "graph", "keypoints", "polyline", "cuboid")


def recognise(listing: Listing) -> bool:
    return any(_is_label_file(listing.peek(name)) for name in _label_files(listing)[:5])


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root, _classes(listing))
    for name, content in json_files(listing, builder, _is_label_file, _label_files(listing)):
        _read_file(listing, name, content, builder)
    return builder.content()


def _label_files(listing: Listing) -> list[str]:
    """Those below a folder `ann`, where there are any: others say what a picture is (`img_info/`, `meta/`)."""
    names = listing.labels(".json")
    if listing.chosen:
        return names
    below = [name for name in names if around(name, "ann")]
    return below or [name for name in names if name.rpartition("/")[2] not in _OF_PROJECT]


def _is_label_file(content: Any) -> bool:
    content = mapping(content)
    return isinstance(content.get("objects"), list) and {"height", "width"} <= set(mapping(content.get("size")))


def _classes(listing: Listing) -> list[str]:
    file = next((name for name in listing.names if name.rpartition("/")[2] == "meta.json"), None)
    classes = entries(mapping(listing.peek(file)).get("classes")) if file else []
    return [name for entry in classes if is_class_name(name := entry.get("title"))]


def _read_file(listing: Listing, name: str, content: Json, builder: ContentBuilder) -> None:
    picture = _picture(listing, name)
    size = stated_size(content["size"]["height"], content["size"]["width"])
    image = builder.add_image(picture, size, split_of(name))
    for number, item in enumerate(entries(content["objects"])):
        _add_object(item, f"{name}: object {number}", image, size, builder)


def _picture(listing: Listing, name: str) -> str:
    """The image `img/X` of the labels `ann/X.json`, or the one beside them."""
    folder, stem = folder_of(name), name.rpartition("/")[2].removesuffix(".json")
    above, below = around(name, "ann") or (folder_of(folder), "")
    beside = "/".join(filter(None, (above, "img", folder_of(below))))
    for place in (beside, folder):
        if listing.has(stated := f"{place}/{stem}".removeprefix("/")):
            return stated
    picture = listing.picture(stem, beside)
    return picture if listing.has(picture) else listing.picture_of_stem(f"{beside}/{stem}") or picture


def _add_object(item: Json, where: str, image: int, size: Size | None, builder: ContentBuilder) -> None:
    kind, label = item.get("geometryType"), item.get("classTitle")
    points = mapping(item.get("points"))
    outer, holes = points_of(points.get("exterior")), [points_of(hole) for hole in _list(points.get("interior"))]
    if kind == "bitmap":
        _add_bitmap(item, label, where, image, size, builder)
    elif kind in WITHOUT_AREA:
        builder.fault(Fault.SHAPE_WITHOUT_AREA, where, str(kind))
    elif kind not in ("polygon", "rectangle"):
        builder.fault(Fault.SHAPE_UNKNOWN, where, brief(kind))
    elif outer is None or len(outer) < 4 or None in holes or (kind == "rectangle" and len(outer) != 4):
        builder.fault(Fault.SHAPE_MALFORMED, where, brief(points))
    elif kind == "rectangle":
        corners = rectangle(*outer)
        builder.add_box(image, label, [*corners[:2], *corners[4:6]], where)
    else:
        add_parts(image, label, [(outer, [hole for hole in holes if hole is not None])], size, where, builder)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def add_parts(
    image: int, label: Any, parts: list[Part], size: Size | None, where: str, builder: ContentBuilder
) -> None:
    """Polygons as they are where they have no holes, else their pixels."""
    if not any(holes for _, holes in parts):
        builder.add_polygons(image, label, [ring for ring, _ in parts], where)
    elif size is None:
        builder.fault(Fault.SHAPE_MALFORMED, where, "a hole in an image of unknown size")
    elif any(len(ring) < 6 for outline, holes in parts for ring in (outline, *holes)):
        builder.fault(Fault.SHAPE_MALFORMED, where, "a ring of fewer than three points")
    else:
        _add_mask(with_holes(parts, size), image, label, where, builder)


def _add_mask(mask: RLE | None, image: int, label: Any, where: str, builder: ContentBuilder) -> None:
    if mask is None or not mask.counts[1::2].sum():
        builder.fault(Fault.SHAPE_OUTSIDE, where)
    else:
        builder.add_rle(image, label, mask, where)


def _add_bitmap(item: Json, label: Any, where: str, image: int, size: Size | None, builder: ContentBuilder) -> None:
    bitmap = mapping(item.get("bitmap"))
    origin = numbers(bitmap.get("origin"), 2)
    try:
        pixels = foreground(decode_picture(_unpacked(decode_base64(bitmap.get("data"), "a bitmap")), where))
    except UserError as error:
        builder.failure(Fault.SHAPE_MALFORMED, where, error)
        return
    if origin is None or size is None:
        builder.fault(Fault.SHAPE_MALFORMED, where, f"origin {brief(bitmap.get('origin'))}")
    else:
        _add_mask(rle_at(pixels, round(origin[0]), round(origin[1]), size), image, label, where, builder)


def _unpacked(content: bytes) -> bytes:
    """The PNG, of bearable size, whether packed or not."""
    if content.startswith(b"\x89PNG"):
        return content
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(content, MAX_PNG)
    except zlib.error:
        raise UserError("expected a bitmap packed by zlib, got something else; export the labels again") from None
    if unpacker.unconsumed_tail:
        raise UserError(f"expected a bitmap of at most {MAX_PNG} bytes, got more")
    return unpacked
