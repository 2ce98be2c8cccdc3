"""Images with a place on Earth: their pixels, their gaps, and where on Earth their objects are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from large.drawn import CATEGORIES, find_colours
from maskrcnn.data.windowed.files import size_of
from maskrcnn.data.windowed.geotiff import GeoImage, is_geotiff
from maskrcnn.errors import UserError
from maskrcnn.large.grid import Grid
from maskrcnn.large.readers import opened
from maskrcnn.large.tiling import Tiling, objects_of
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle
from maskrcnn.prediction import Prediction
from maskrcnn.results.finished import Finished
from maskrcnn.results.forms import save_forms
from maskrcnn.results.row import RunSettings
from maskrcnn.results.rows import ResultRows
from maskrcnn.results.wgs84 import NO_PLACE

rasterio = pytest.importorskip("rasterio", reason="needs rasterio")

NORTH_UP = (0.5, 0, 440_720, 0, -0.5, 5_420_000)
TURNED = (0.4, 0.3, 1_489_200, 0.3, -0.4, 6_894_000)


def write(path: Path, bands: np.ndarray, transform: tuple[float, ...] = NORTH_UP, **profile: object) -> Path:
    """Bands (n, h, w) as a tiled GeoTIFF."""
    count, height, width = bands.shape
    form = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype}
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(*transform)}
    with rasterio.open(path, "w", **form, **tiles, **{**place, **profile}) as file:
        file.write(bands)
    return path


def mercator(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Web Mercator by its definition, on a sphere of 6,378,137 m."""
    return 6378137 * np.radians(lon), 6378137 * np.log(np.tan(np.pi / 4 + np.radians(lat) / 2))


def utm(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from rasterio.warp import transform

    x, y = transform("EPSG:4326", "EPSG:32633", lon, lat)
    return np.array(x), np.array(y)


@pytest.mark.parametrize(("crs", "project", "place"), [("EPSG:32633", utm, NORTH_UP), ("EPSG:3857", mercator, TURNED)])
def test_a_square_is_where_it_is(crs: str, project: object, place: tuple[float, ...], tmp_path: Path) -> None:
    """Its corners come back within a millionth of a pixel; a hole too. The outline runs left, the hole right."""
    path = write(tmp_path / "field.tif", np.zeros((3, 90, 120), np.uint8), place, crs=crs)
    mask = np.zeros((90, 120), np.uint8)
    mask[20:50, 10:40] = 1
    mask[30:35, 20:30] = 0
    rows = ResultRows(tmp_path / "rows.jsonl", RunSettings("m" * 64, 0.5, None, "float32", None))
    found = Prediction(
        boxes=np.array([[10, 20, 40, 50]], np.float32),
        scores=np.array([0.75], np.float32),
        labels=np.zeros(1, np.int64),
        image_size=(90, 120),
        categories=CATEGORIES,
        source=path,
        given_masks=PackedRLE.from_rles([encode_rle(mask)], (90, 120)),
    )
    rows.append(rows.found(str(path), found, 0.1))
    rows.close()
    loss = save_forms(Finished(rows, [str(path)], CATEGORIES), tmp_path, ("wgs84", "geojson"))
    assert not loss["wgs84"]
    (feature,) = json.loads((tmp_path / "wgs84" / "field.geojson").read_text())["features"]
    (in_pixels,) = json.loads((tmp_path / "geojson" / "field.geojson").read_text())["features"]
    assert feature["properties"] == {"name": "thing", "score": 0.75, "area": 850}
    corners = {(10, 20), (40, 20), (40, 50), (10, 50)}, {(20, 30), (30, 30), (30, 35), (20, 35)}
    turns = []
    for number, expected in enumerate(corners):
        lon, lat = np.array(feature["geometry"]["coordinates"][number]).T
        x, y = project(lon, lat)  # type: ignore[operator]
        (a, b, c, d, e, f), turn = place, place[0] * place[4] - place[1] * place[3]
        back = np.stack([e * (x - c) - b * (y - f), a * (y - f) - d * (x - c)], axis=1) / turn
        ring = np.array(in_pixels["geometry"]["coordinates"][number])
        assert min(np.abs(back - ring).max(), np.abs(back - ring[::-1]).max()) < 1e-6
        assert expected <= {tuple(point) for point in ring.tolist()} or number == 1
        assert np.array_equal(back[0], back[-1]) and -90 < lat.min() < lat.max() < 90
        lon, lat = lon - lon[0], lat - lat[0]
        turns.append((lon[:-1] * lat[1:] - lon[1:] * lat[:-1]).sum() > 0)
    assert turns == [True, False]


def test_windows_are_the_pixels_of_the_file(tmp_path: Path) -> None:
    bands = np.random.default_rng(0).integers(0, 256, (4, 150, 210), np.uint8)
    path = write(tmp_path / "a.tif", bands, photometric="rgb", alpha="yes")  # the fourth is its transparency
    assert is_geotiff(path) and size_of(path) == (150, 210)
    with opened(path) as image:
        assert isinstance(image, GeoImage) and image.size == (150, 210)
        for x1, y1, x2, y2 in ((0, 0, 210, 150), (30, 60, 70, 130), (64, 32, 65, 33)):
            assert np.array_equal(image.read((x1, y1, x2, y2)), bands[:3, y1:y2, x1:x2].transpose(1, 2, 0))
            assert np.array_equal(image.missing((x1, y1, x2, y2)), bands[3, y1:y2, x1:x2] == 0)


@pytest.mark.parametrize("nodata", [-9999.0, float("nan")])
def test_gaps_neither_stretch_values_nor_keep_tiles(nodata: float, tmp_path: Path) -> None:
    """600 x 300 pixels: the upper half has a ramp from 10 to 20 with a gap in it, the lower one no data at all."""
    values = np.full((1, 600, 300), nodata, np.float32)
    values[0, :300] = np.linspace(10, 20, 300)
    values[0, 50:60, 70:90] = nodata
    path, seen = write(tmp_path / "a.tif", values, nodata=nodata), []

    def nothing(pictures: Iterable[np.ndarray]) -> Iterator[Prediction]:
        for picture in pictures:
            seen.append(picture)
            yield next(find_colours([np.zeros_like(picture)]))

    tiling = Tiling(tile=256, overlap=64, background=0, fill=(1, 2, 3))
    with opened(path) as image:
        list(objects_of(image, tiling, nothing))
        ramp = image.read((0, 0, 300, 300))
    assert ramp[0, 0, 0] == 0 and ramp[0, -1, 0] == 255 and 126 <= ramp[0, 150, 0] <= 129
    first = seen[0]
    assert (first[50:60, 70:90] == [1, 2, 3]).all() and not (first[:50] == [1, 2, 3]).all(axis=2).any()
    assert (len(seen), len(Grid.over((600, 300), 256, 64))) == (6, 8), "the last row of tiles has no data"
    assert all((picture != [1, 2, 3]).any() for picture in seen)


def test_a_gap_beside_blank_paper_is_background(tmp_path: Path) -> None:
    values = np.full((3, 256, 256), 240, np.uint8)
    values[:, :, 100:] = 0
    path = write(tmp_path / "a.tif", values, nodata=0)
    with opened(path) as image:
        assert list(objects_of(image, Tiling(256, 64, 0, (9, 9, 9)), find_colours)) == []


def test_what_is_no_geotiff(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.tif", np.zeros((1, 40, 40), np.uint8), crs=None)
    assert not is_geotiff(plain)
    (tmp_path / "broken.tif").write_bytes(b"II*\0nothing")
    assert not is_geotiff(tmp_path / "broken.tif")
    five = write(tmp_path / "five.tif", np.zeros((5, 40, 40), np.uint8))
    with pytest.raises(UserError, match="expected a TIFF in RGB or grey, got bands of"), opened(five):
        pass


def test_a_file_cut_off_is_one_line(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 256, 256), np.uint8)
    path = write(tmp_path / "a.tif", noise)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(UserError, match="broken or incomplete TIFF"), opened(path) as image:
        image.read((0, 0, 256, 256))


def test_an_image_without_a_place_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.zeros((1, 40, 40), np.uint8), crs=None, nodata=0)
    nothing = next(find_colours([np.zeros((40, 40, 3), np.uint8)]))
    rows = ResultRows(tmp_path / "rows.jsonl", RunSettings("m" * 64, 0.5, None, "float32", None))
    rows.append(rows.found(str(path), nothing, 0.1))
    rows.close()
    assert save_forms(Finished(rows, [str(path)], CATEGORIES), tmp_path, ("wgs84",)) == {"wgs84": {NO_PLACE: 1}}
    assert not list((tmp_path / "wgs84").glob("*.geojson"))
