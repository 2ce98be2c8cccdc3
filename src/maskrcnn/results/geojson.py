"""GeoJSON as QuPath reads it: a file per image, outlines with holes in pixels of the image.

https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskrcnn.data.formats.writers.scene import Loss
from maskrcnn.detected import DetectedObject, Part
from maskrcnn.json_values import write_json
from maskrcnn.prediction import Prediction
from maskrcnn.results.outlined import outlined
from maskrcnn.structures.masks import FloatArray
from maskrcnn.viz.colours import instance_colour

if TYPE_CHECKING:
    from maskrcnn.results.finished import Finished

AROUND = '{"type": "FeatureCollection", "features": ', "}"


def write(finished: Finished, folder: Path) -> Loss:
    """`X.geojson` for each image X."""
    loss = Loss()
    for image in finished:
        write_json(folder / f"{image.stem}.geojson", features(image.parts(), loss), *AROUND)
    return loss


def features(parts: Iterable[Prediction], loss: Loss) -> Iterator[dict[str, Any]]:
    """A feature for each object, along the edges of its pixels; of its box, where there are no masks.

    Args:
        parts: of one image's objects; they are numbered from 1.
        loss: counts those with an empty mask, which are left out.
    """
    return (_feature(found, number) for number, found in outlined(parts, loss))


def _feature(found: DetectedObject, number: int) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": str(number),
        "geometry": _geometry(found.polygons) if found.prediction.has_masks else _box(found),
        "properties": {
            "objectType": "detection",
            "classification": {"name": found.name, "color": list(instance_colour(found.label))},
            "measurements": {"score": found.score, "area": found.area},
        },
    }


def _geometry(parts: list[Part]) -> dict[str, Any]:
    polygons = [[_closed(outer), *map(_closed, holes)] for outer, holes in parts]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}


def _box(found: DetectedObject) -> dict[str, Any]:
    x1, y1, x2, y2 = found.box.tolist()
    return {"type": "Polygon", "coordinates": [[[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]]}


def _closed(ring: FloatArray) -> list[list[float]]:
    points: list[list[float]] = ring.tolist()
    return [*points, points[0]]
