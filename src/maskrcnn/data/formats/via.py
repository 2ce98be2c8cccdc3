"""VIA, the VGG Image Annotator, versions 1 and 2: one JSON file for all images, as an export, a project, or a CSV.

https://www.robots.ox.ac.uk/~vgg/software/via/. Regions are a dictionary in version 1 and a list in version 2. Every
closed shape is a mask, as in VIA's own export to COCO. The class is the attribute that most regions of the file have,
as text or as a single choice; regions without it are "object". The file does not state the images' sizes.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from maskrcnn.data.formats.content import UNNAMED, ContentBuilder, Json, LabelContent, is_class_name
from maskrcnn.data.formats.json_files import first_json
from maskrcnn.data.formats.listing import Listing, folder_of, split_of
from maskrcnn.data.formats.shapes import Flat, coordinates, ellipse, entries, mapping, numbers, rectangle
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.files import read_regular
from maskrcnn.text import brief

LOOKED_FOR = "VIA's JSON or CSV (filename, regions)"

MAX_CSV = 2**30

Picture = tuple[str, list[Json]]
"""A file name with its regions."""


def recognise(listing: Listing) -> bool:
    return any(_pictures_of(listing.peek(name)) is not None for name in first_json(listing)) or any(
        _is_csv(listing, name) for name in listing.labels(".csv")[:5]
    )


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    for name in listing.labels(".json", ".csv"):
        try:
            pictures = (
                _csv_pictures(listing, name) if name.lower().endswith(".csv") else _pictures_of(listing.json(name))
            )
        except UserError as error:
            builder.failure(Fault.LABEL_FILE_BROKEN, name, error)
            continue
        if pictures is None:
            builder.fault(Fault.LABEL_FILE_OTHER, name)
        else:
            _read_pictures(listing, name, pictures, builder)
    return builder.content()


def _pictures_of(content: Any) -> list[Picture] | None:
    """The images of an export or a project; None where it is neither."""
    records = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(records, dict) or not records:
        return None
    if not all(
        isinstance(record, dict) and "filename" in record and "regions" in record for record in records.values()
    ):
        return None
    return [(str(record["filename"]), _regions(record["regions"])) for record in records.values()]


def _regions(value: Any) -> list[Json]:
    return entries(list(value.values()) if isinstance(value, dict) else value)


def _is_csv(listing: Listing, name: str) -> bool:
    with (listing.file(name)).open("rb") as file:
        return b"region_shape_attributes" in file.readline(10_000)


def _csv_pictures(listing: Listing, name: str) -> list[Picture] | None:
    """A line for a region; JSON inside."""
    if not _is_csv(listing, name):
        return None
    text = read_regular(listing.file(name), MAX_CSV, "VIA's CSV").decode("utf-8-sig", "replace")
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise UserError(f"{name}: expected a CSV file, but {error}; export it again") from None
    found: dict[str, list[Json]] = {}
    for row in rows:
        regions = found.setdefault(row.get("#filename") or row.get("filename") or "", [])
        shape = _parsed(row.get("region_shape_attributes"))
        if shape:
            regions.append({"shape_attributes": shape, "region_attributes": _parsed(row.get("region_attributes"))})
    return list(found.items())


def _parsed(text: str | None) -> Json:
    try:
        return mapping(json.loads(text or "{}"))
    except (ValueError, RecursionError):
        return {}


def _read_pictures(listing: Listing, name: str, pictures: list[Picture], builder: ContentBuilder) -> None:
    attribute = _class_attribute(region for _, regions in pictures for region in regions)
    for file_name, regions in sorted(pictures, key=lambda picture: picture[0]):
        picture = listing.picture(file_name, folder_of(name))
        image = builder.add_image(picture, listing.size(picture), split_of(picture) or split_of(name))
        for number, region in enumerate(regions):
            where = f"{name}: {brief(file_name)}: region {number}"
            outline = _outline(mapping(region.get("shape_attributes")), where, builder)
            if outline is not None:
                label = _choice(mapping(region.get("region_attributes")).get(attribute))
                if attribute and label is None:
                    builder.fault(Fault.CLASS_MISSING, where, attribute)
                builder.add_polygons(image, label or UNNAMED, [outline], where)


def _class_attribute(regions: Iterator[Json]) -> str:
    """The attribute that most regions have with one printable value; the first in the alphabet of equals."""
    counts: Counter[str] = Counter()
    for region in regions:
        attributes = mapping(region.get("region_attributes"))
        counts.update(name for name, value in attributes.items() if _choice(value) is not None)
    return min(counts, key=lambda name: (-counts[name], name), default="")


def _choice(value: Any) -> str | None:
    """Text, or the only ticked box of several."""
    if isinstance(value, dict):
        ticked = [name for name, on in value.items() if on]
        value = ticked[0] if len(ticked) == 1 else None
    return value if is_class_name(value) else None


def _outline(shape: Json, where: str, builder: ContentBuilder) -> Flat | None:
    kind = shape.get("name")
    if kind in ("point", "polyline"):
        builder.fault(Fault.SHAPE_WITHOUT_AREA, where, str(kind))
        return None
    if kind not in ("polygon", "rect", "circle", "ellipse"):
        builder.fault(Fault.SHAPE_UNKNOWN, where, brief(kind))
        return None
    outline = _closed(str(kind), shape)
    if outline is None:
        builder.fault(Fault.SHAPE_MALFORMED, where, brief(shape))
    return outline


def _closed(kind: str, shape: Json) -> Flat | None:
    if kind == "polygon":
        return coordinates(shape.get("all_points_x"), shape.get("all_points_y"))
    names = {
        "rect": ("x", "y", "width", "height"),
        "circle": ("cx", "cy", "r", "r"),
        "ellipse": ("cx", "cy", "rx", "ry"),
    }
    values, angles = numbers([shape.get(name) for name in names[kind]]), numbers([shape.get("theta", 0)])
    if values is None or angles is None:
        return None
    x, y, a, b = values
    return rectangle(x, y, x + a, y + b) if kind == "rect" else ellipse(x, y, a, b, angles[0])
