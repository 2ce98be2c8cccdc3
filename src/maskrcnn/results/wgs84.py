"""GeoJSON with longitudes and latitudes (WGS84, RFC 7946), for images that have a place on Earth."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskrcnn.data.formats.writers.scene import Loss
from maskrcnn.data.windowed.geotiff import GeoImage, is_geotiff, opened_geotiff
from maskrcnn.errors import UserError
from maskrcnn.json_values import write_json
from maskrcnn.results.geojson import AROUND, features
from maskrcnn.structures.masks import FloatArray

if TYPE_CHECKING:
    from maskrcnn.results.finished import Finished, FinishedImage

NO_PLACE = "images have no coordinate reference system, so nothing is known of where on Earth they are"

BATCH = 500
"""Objects whose points are projected together."""


def write(finished: Finished, folder: Path) -> Loss:
    """`X.geojson` for each image X with a coordinate reference system; others are counted.

    Raises:
        UserError: `rasterio` is missing, an image cannot be read again, or a place has no longitude and latitude.
    """
    _require_rasterio()
    loss = Loss()
    for image in finished:
        if not is_geotiff(image.path):
            loss[NO_PLACE] += 1
            continue
        with opened_geotiff(image.path) as pixels:
            if pixels.has_place:
                write_json(folder / f"{image.stem}.geojson", _features(image, pixels, loss), *AROUND)
            else:
                loss[NO_PLACE] += 1
    return loss


def _features(image: FinishedImage, pixels: GeoImage, loss: Loss) -> Iterator[dict[str, Any]]:
    """Some hundred at a time: to set up a projection takes longer than to use it."""
    found = features(image.parts(), loss)
    while some := list(islice(found, BATCH)):
        rings = [np.array(ring) for feature in some for polygon in _polygons(feature) for ring in polygon]
        placed = np.split(pixels.lon_lat(np.concatenate(rings)), np.cumsum([len(ring) for ring in rings])[:-1])
        waiting = iter(placed)
        yield from (_feature(feature, waiting) for feature in some)


def _feature(feature: dict[str, Any], rings: Iterator[FloatArray]) -> dict[str, Any]:
    """The same object with these rings; name and measurements flat, as maps show them."""
    polygons = [[_oriented(next(rings), place == 0) for place, _ in enumerate(p)] for p in _polygons(feature)]
    kind, properties = feature["geometry"]["type"], feature["properties"]
    return {
        "type": "Feature",
        "id": feature["id"],
        "geometry": {"type": kind, "coordinates": polygons if kind == "MultiPolygon" else polygons[0]},
        "properties": {"name": properties["classification"]["name"], **properties["measurements"]},
    }


def _polygons(feature: dict[str, Any]) -> list[list[list[list[float]]]]:
    geometry = feature["geometry"]
    polygons: list[list[list[list[float]]]] = geometry["coordinates"]
    return polygons if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]


def _oriented(ring: FloatArray, outer: bool) -> list[list[float]]:
    """RFC 7946, section 3.1.6: the outer ring runs counterclockwise, those of holes clockwise."""
    x, y = (ring - ring[0]).T
    is_left = float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum()) > 0
    points: list[list[float]] = (ring if is_left == outer else ring[::-1]).tolist()
    return points


def _require_rasterio() -> None:
    if find_spec("rasterio") is None:
        raise UserError("--save wgs84 needs the library rasterio; install it: pip install rasterio")
