"""GeoJSON: a real geometry of QuPath, and features with holes and several parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.formats.scenes import geojson, picture, write

from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels
from maskrcnn.data.report import Fault

SQUARE = [[4, 4], [14, 4], [14, 14], [4, 14], [4, 4]]
HOLE = [[6, 6], [10, 6], [10, 10], [6, 10], [6, 6]]
ISLAND = [[7, 7], [9, 7], [9, 9], [7, 9], [7, 7]]
OTHER = [[20, 4], [24, 4], [24, 8], [20, 8], [20, 4]]


@pytest.fixture
def read_geometries(tmp_path: Path) -> Callable[..., LabelContent]:
    """Geometries of one 31 x 24 image."""

    def read(*geometries: Any) -> LabelContent:
        picture(tmp_path / "a.png")
        features = [{"type": "Feature", "geometry": geometry, "properties": {}} for geometry in geometries]
        write(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": features})
        return read_labels(tmp_path)

    return read


def test_a_real_geometry(shared: Path, tmp_path: Path, found: Any) -> None:
    """A part with 26 holes, and two parts inside of these; on a tenth of the slide's 10,000 x 10,000 pixels.

    Area by pycocotools at full size: 98,323,931 less 44,273,775 for the holes, and 628,345 and 16,275 inside of them.
    """
    content = json.loads((shared / "data/formats/qupath/polygon.geojson").read_text())
    for polygon in content["coordinates"]:
        polygon[:] = [[[x / 10, y / 10] for x, y in ring] for ring in polygon]
    write(tmp_path / "polygon.geojson", content)
    Image.new("1", (1000, 1000)).save(tmp_path / "polygon.png")
    result = found(read_labels(tmp_path))
    assert result.objects == {"object": 1}
    assert abs(result.area / (98_323_931 - 44_273_775 + 628_345 + 16_275) * 100 - 1) < 1e-3


def test_holes_and_parts(read_geometries: Any, bitmaps: Any) -> None:
    several = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [OTHER], [ISLAND]]}
    single = {"type": "Polygon", "coordinates": [OTHER]}
    (_, first), (_, second) = bitmaps(read_geometries(several, single))
    expected = np.zeros((24, 31), bool)
    expected[4:14, 4:14] = True
    expected[6:10, 6:10] = False
    expected[7:9, 7:9] = True  # in the hole
    expected[4:8, 20:24] = True
    assert np.array_equal(first, expected) and second.sum() == 16


@pytest.mark.parametrize("wrap", [list, lambda features: features[0], lambda features: features[0]["geometry"]])
def test_a_list_a_feature_and_a_bare_geometry(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    geojson(tmp_path)
    content = json.loads((tmp_path / "a.geojson").read_text())
    write(tmp_path / "a.geojson", wrap(content["features"]))
    assert read_labels(tmp_path).coco["annotations"][0]["bbox"] == [2, 3, 6, 5]


@pytest.mark.parametrize(
    ("geometry", "rule"),
    [
        ({"type": "Polygon", "coordinates": []}, Fault.SHAPE_MALFORMED),
        ({"type": "Polygon", "coordinates": [[[1, 2], [3, "4"]]]}, Fault.SHAPE_MALFORMED),
        ({"type": "MultiPolygon", "coordinates": [[]]}, Fault.SHAPE_MALFORMED),
        ({"type": "MultiPolygon", "coordinates": {"a": 1}}, Fault.SHAPE_MALFORMED),
        ({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, Fault.SHAPE_WITHOUT_AREA),
        ({"type": "GeometryCollection"}, Fault.SHAPE_UNKNOWN),
        (None, Fault.SHAPE_UNKNOWN),
    ],
)
def test_a_bad_geometry_is_reported(read_geometries: Any, geometry: Any, rule: Fault) -> None:
    content = read_geometries({"type": "Polygon", "coordinates": [SQUARE]}, geometry)
    assert content.report.counts == {rule: 1} and len(content.coco["annotations"]) == 1
