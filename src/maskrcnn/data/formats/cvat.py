"""CVAT: one XML file for a task or project, with boxes, polygons, ellipses and bitmaps.

https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/, "for images" and "for video". The run lengths of a
`mask` start with zeros and go along the rows of its own box, unlike COCO's. Shapes of one class with the same
`group_id` are one object. A box is a box, unless it is turned. Of a track, the frames that state a shape are read; what
CVAT interpolates between them is not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

import numpy as np

from maskrcnn.data.formats.bitmaps import rle_at, union
from maskrcnn.data.formats.content import ContentBuilder, LabelContent
from maskrcnn.data.formats.listing import Listing, folder_of, split_of
from maskrcnn.data.formats.shapes import Flat, ellipse, rectangle, turned
from maskrcnn.data.formats.xml import number_of, read_xml, text_of
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.rle_coco import LARGEST_LABELLED
from maskrcnn.structures import RLE, Size
from maskrcnn.structures.masks import BoolArray
from maskrcnn.text import brief

LOOKED_FOR = "CVAT's XML (annotations with image or track)"

WITHOUT_AREA = ("polyline", "points", "cuboid", "skeleton")
SHAPES = ("box", "polygon", "ellipse", "mask", *WITHOUT_AREA)


@dataclass
class _Object:
    """The shapes of one object."""

    label: str | None
    where: str
    rings: list[Flat] = field(default_factory=list)
    masks: list[RLE] = field(default_factory=list)
    boxes: list[Flat] = field(default_factory=list)


def recognise(listing: Listing) -> bool:
    return any(_root(listing, name) is not None for name in listing.labels(".xml")[:3])


def read(listing: Listing) -> LabelContent:
    roots = [(name, root) for name in listing.labels(".xml") if (root := _root(listing, name)) is not None]
    builder = ContentBuilder(listing.path, listing.root, [name for _, root in roots for name in _classes(root)])
    for name, root in roots:
        for image in root.iter("image"):
            _read_image(listing, name, image, builder)
        _read_tracks(listing, name, root, builder)
    return builder.content()


def _root(listing: Listing, name: str) -> Element | None:
    try:
        root = read_xml(listing.file(name))
    except UserError:
        return None
    found = root.tag == "annotations" and (root.find("image") is not None or root.find("track") is not None)
    return root if found else None


def _classes(root: Element) -> list[str]:
    """In the order of the project; the points of a skeleton are no classes."""
    labels = [label for label in root.iter("label") if label.find("parent") is None]
    names = [text_of(label, "name") for label in labels]
    return [name for name in names if name and name.isprintable()]


def _read_image(listing: Listing, name: str, image: Element, builder: ContentBuilder) -> None:
    stated, size = image.get("name", ""), _size(image.get("height"), image.get("width"))
    subset = image.get("subset", "")
    picture = listing.picture(f"{subset}/{stated}" if subset else stated, folder_of(name))
    if subset and not listing.has(picture):
        picture = listing.picture(stated, folder_of(name))
    split = split_of(f"{subset}/x") or split_of(picture)
    number = builder.add_image(picture, size, split)
    _add_objects(list(image), f"{name}: image {brief(stated)}", number, size, builder)


def _size(height: str | None, width: str | None) -> Size | None:
    sides = number_of(height), number_of(width)
    if sides[0] is None or sides[1] is None or min(sides[0], sides[1]) < 1 or sides[0] * sides[1] > LARGEST_LABELLED:
        return None
    return int(sides[0]), int(sides[1])


def _add_objects(
    shapes: list[Element], where: str, image: int, size: Size | None, builder: ContentBuilder, label: str | None = None
) -> None:
    """The shapes of one image; of a track, `label` is the class."""
    objects: dict[tuple[str | None, str], _Object] = {}
    for number, shape in enumerate(shapes):
        if shape.tag not in SHAPES:
            continue
        name, place = label or shape.get("label"), f"{where}: {shape.tag} {number}"
        group = shape.get("group_id") or "0"
        key = (name, f"group {group}" if group != "0" else str(number))
        _add_shape(shape, size, place, objects.setdefault(key, _Object(name, place)), builder)
    for item in objects.values():
        _add_object(item, image, size, builder)


def _add_shape(shape: Element, size: Size | None, where: str, item: _Object, builder: ContentBuilder) -> None:
    if shape.tag in WITHOUT_AREA:
        builder.fault(Fault.SHAPE_WITHOUT_AREA, where)
    elif shape.tag == "mask":
        if (mask := _mask(shape, size)) is not None:
            item.masks.append(mask)
        else:
            builder.fault(Fault.SHAPE_MALFORMED, where, "mask")
    elif (outline := _outline(shape)) is None:
        builder.fault(Fault.SHAPE_MALFORMED, where)
    elif shape.tag == "box" and not number_of(shape.get("rotation")):
        item.boxes.append(outline)
    else:
        item.rings.append(outline)


def _outline(shape: Element) -> Flat | None:
    if shape.tag == "polygon":
        return _points(shape.get("points", ""))
    names = ("cx", "cy", "rx", "ry") if shape.tag == "ellipse" else ("xtl", "ytl", "xbr", "ybr")
    values = [number_of(shape.get(name)) for name in names]
    a, b, c, d = values
    if a is None or b is None or c is None or d is None:
        return None
    angle = math.radians(number_of(shape.get("rotation")) or 0.0)
    if shape.tag == "ellipse":
        return ellipse(a, b, c, d, angle)
    return turned(rectangle(a, b, c, d), (a + c) / 2, (b + d) / 2, angle)


def _points(text: str) -> Flat | None:
    """From `x,y;x,y;...`."""
    values = [number_of(word) for pair in text.split(";") for word in pair.split(",")]
    good = [value for value in values if value is not None]
    return good if len(good) == len(values) and len(good) % 2 == 0 else None


def _mask(shape: Element, size: Size | None) -> RLE | None:
    """Run lengths along the rows of the box left, top, width, height."""
    box = [number_of(shape.get(name)) for name in ("left", "top", "width", "height")]
    left, top, width, height = (int(value) if value is not None else -1 for value in box)
    bitmap = _bitmap(shape.get("rle", ""), height, width)
    return rle_at(bitmap, left, top, size) if bitmap is not None and size is not None and None not in box else None


def _bitmap(text: str, height: int, width: int) -> BoolArray | None:
    """None where the counts do not fill the box."""
    words = re.split(r"[,\s]+", text.strip(", \t\n"))
    if height < 1 or width < 1 or height * width > MAX_PIXELS or not all(w.isdecimal() and len(w) < 10 for w in words):
        return None
    counts = np.array([int(word) for word in words], dtype=np.int64)
    if counts.sum() != height * width:
        return None
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)


def _add_object(item: _Object, image: int, size: Size | None, builder: ContentBuilder) -> None:
    if item.masks and size is not None:
        builder.add_rle(image, item.label, union(item.masks, item.rings, size), item.where)
    elif item.rings:
        builder.add_polygons(image, item.label, item.rings, item.where)
    for outline in item.boxes if not (item.rings or item.masks) else ():
        builder.add_box(image, item.label, [*outline[:2], *outline[4:6]], item.where)


# --- tracks -----------------------------------------------------------------------------------------------------


def _read_tracks(listing: Listing, name: str, root: Element, builder: ContentBuilder) -> None:
    """Keyframes whose object is in view, frame after frame."""
    if root.find("track") is None:
        return
    size = _size(root.findtext(".//original_size/height"), root.findtext(".//original_size/width"))
    frames: dict[int, list[tuple[str | None, Element]]] = {}
    for frame, label, shape in _keyframes(root):
        frames.setdefault(frame, []).append((label, shape))
    pictures = _frames(listing, folder_of(name))
    builder.fault(Fault.BETWEEN_KEYFRAMES, name, f"{len(frames)} frames with keyframes")
    for frame, shapes in sorted(frames.items()):
        image = builder.add_image(pictures.get(frame, f"frame_{frame:06}.png"), size)
        for label, shape in shapes:
            _add_objects([shape], f"{name}: frame {frame}", image, size, builder, label)


def _keyframes(root: Element) -> Iterator[tuple[int, str | None, Element]]:
    for track in root.iter("track"):
        for shape in track:
            frame = number_of(shape.get("frame"))
            if frame is not None and shape.get("keyframe") == "1" and shape.get("outside") == "0":
                yield int(frame), track.get("label"), shape


def _frames(listing: Listing, beside: str) -> dict[int, str]:
    """The images by the number at the end of their names."""
    found = {}
    for picture in listing.pictures(beside):
        if match := re.search(r"(\d{1,9})\.\w+$", picture):
            found[int(match[1])] = picture
    return found
