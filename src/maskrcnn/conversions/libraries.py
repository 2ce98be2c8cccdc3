"""Objects as pandas, supervision and Shapely have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from maskrcnn.detected import DetectedObjects, Part
from maskrcnn.errors import UserError


def data_frame(table: Mapping[str, Sequence[Any]]) -> Any:
    """A `pandas.DataFrame` with these columns."""
    return _library("pandas").DataFrame(dict(table))


def supervision_detections(found: DetectedObjects) -> Any:
    """`supervision.Detections`: boxes, masks as bitmaps (D x H x W bytes), scores, classes and their names."""
    return _library("supervision").Detections(
        xyxy=np.asarray(found.boxes, np.float32).reshape(-1, 4),
        mask=found.masks() if found.has_masks else None,
        confidence=np.asarray(found.scores),
        class_id=np.asarray(found.labels, int),
        data={"class_name": np.array(found.names, dtype=str)},
    )


def shapely_geometry(parts: Sequence[Part]) -> Any:
    """A valid Shapely geometry of the parts of one outline: a polygon where there is one part, which may have holes."""
    shapely = _library("shapely")
    polygons = [shapely.Polygon(outer, holes) for outer, holes in parts]
    return shapely.make_valid(polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons))


def _library(name: str) -> ModuleType:
    """An optional library.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(f"this needs the library {name} ({error}); install it: pip install {name}") from error
