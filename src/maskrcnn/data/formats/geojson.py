"""GeoJSON as QuPath writes it: polygons with holes in pixels of the picture, a file `X.geojson` for an image X.

https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html. The class is `classification.name`,
else "object". Several polygons of one feature are one object; a cell is its outline, not its nucleus.
"""

from __future__ import annotations

from typing import Any

from maskrcnn.data.formats.bitmaps import Part
from maskrcnn.data.formats.content import UNNAMED, ContentBuilder, Json, LabelContent
from maskrcnn.data.formats.listing import Listing, split_of
from maskrcnn.data.formats.shapes import entries, mapping, points_of
from maskrcnn.data.formats.supervisely import add_parts
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.structures import Size
from maskrcnn.text import brief

LOOKED_FOR = "GeoJSON as QuPath writes it (features with polygons)"

AREAS = ("Polygon", "MultiPolygon")
WITHOUT_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")


def recognise(listing: Listing) -> bool:
    return any(_features(listing.peek(name)) for name in listing.labels(".geojson", ".json")[:5])


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    for name in listing.labels(".geojson", ".json"):
        try:
            features = _features(listing.json(name))
        except UserError as error:
            builder.failure(Fault.LABEL_FILE_BROKEN, name, error)
            continue
        if features is None:
            builder.fault(Fault.LABEL_FILE_OTHER, name)
        else:
            _read_file(listing, name, features, builder)
    return builder.content()


def _features(content: Any) -> list[Json] | None:
    """The features of a collection, of a list, or a single one; None where it is no GeoJSON."""
    if isinstance(content, dict) and content.get("type") in (*AREAS, *WITHOUT_AREA):
        return [{"geometry": content}]
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        return entries(content.get("features"))
    listed = entries(content) if isinstance(content, list) else entries([content])
    return listed if listed and all(entry.get("type") == "Feature" for entry in listed) else None


def _read_file(listing: Listing, name: str, features: list[Json], builder: ContentBuilder) -> None:
    stem = name.rpartition(".")[0]
    picture = listing.picture_of_stem(stem) or listing.picture(f"{stem.rpartition('/')[2]}.png")
    size = listing.size(picture)
    image = builder.add_image(picture, size, split_of(name))
    for number, feature in enumerate(features):
        _add(feature, f"{name}: feature {number}", image, size, builder)


def _add(feature: Json, where: str, image: int, size: Size | None, builder: ContentBuilder) -> None:
    geometry = mapping(feature.get("geometry"))
    kind = geometry.get("type")
    if kind in WITHOUT_AREA:
        builder.fault(Fault.SHAPE_WITHOUT_AREA, where, str(kind))
        return
    if kind not in AREAS:
        builder.fault(Fault.SHAPE_UNKNOWN, where, brief(kind))
        return
    parts = _parts(geometry.get("coordinates"), kind == "Polygon")
    if parts is None:
        builder.fault(Fault.SHAPE_MALFORMED, where, brief(geometry.get("coordinates")))
    else:
        add_parts(image, _label(feature), parts, size, where, builder)


def _label(feature: Json) -> Any:
    classification = mapping(mapping(feature.get("properties")).get("classification"))
    return classification.get("name") or UNNAMED


def _parts(coordinates: Any, is_single: bool) -> list[Part] | None:
    """Outlines with their holes: of each polygon the first ring is its outline. None where a number is none."""
    polygons = [coordinates] if is_single else coordinates
    if not isinstance(polygons, list) or not polygons or not all(isinstance(p, list) and p for p in polygons):
        return None
    parts: list[Part] = []
    for polygon in polygons:
        rings = [ring for ring in map(points_of, polygon) if ring is not None]
        if len(rings) != len(polygon):
            return None
        parts.append((rings[0], rings[1:]))
    return parts
