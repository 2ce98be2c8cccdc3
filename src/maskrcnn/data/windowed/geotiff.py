"""Images with a place on Earth: GeoTIFF and COG by rasterio, in windows, with their gaps and their coordinates."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from maskrcnn.data.images import TIFF
from maskrcnn.data.windowed.values import ToBytes
from maskrcnn.errors import UserError
from maskrcnn.files import first_bytes
from maskrcnn.structures import Size
from maskrcnn.structures.large_image import Window
from maskrcnn.structures.masks import BoolArray, ByteArray, FloatArray

if TYPE_CHECKING:
    from rasterio import DatasetReader

_SAMPLE = 512
"""Side in pixels of the windows from which the range of values is taken."""


class GeoImage:
    """The colours of a georeferenced file; `missing` tells where it has no data.

    Raises:
        UserError: no bands that are grey, or red, green and blue.
    """

    def __init__(self, dataset: DatasetReader, path: Path) -> None:
        self._dataset, self._path = dataset, path
        self._bands = _colour_bands(dataset, path)
        self._to_bytes = ToBytes.of(self._sample())

    @property
    def size(self) -> Size:
        """(height, width), pixels."""
        return int(self._dataset.height), int(self._dataset.width)

    def read(self, window: Window) -> ByteArray:
        """As `LargeImage`."""
        return self._to_bytes(self.values(window))

    def values(self, window: Window) -> npt.NDArray[Any]:
        """(h, w, C) of a window as the file has them."""
        with self._reading():
            values: npt.NDArray[Any] = self._dataset.read(self._bands, window=_window(window))
        return values.transpose(1, 2, 0)

    def missing(self, window: Window) -> BoolArray:
        """(h, w) pixels without data: by the file's nodata value, its mask or its transparency."""
        with self._reading():
            return np.asarray(self._dataset.dataset_mask(window=_window(window)) == 0)

    @property
    def has_place(self) -> bool:
        """Whether it has a coordinate reference system, so that `lon_lat` can be asked."""
        return self._dataset.crs is not None

    def lon_lat(self, points: FloatArray) -> FloatArray:
        """(n, 2) longitude and latitude (WGS84, degrees) of points x, y in continuous pixels.

        Raises:
            UserError: a point without a longitude and a latitude, such as one beyond the edge of a projection.
        """
        from rasterio.warp import transform

        a, b, c, d, e, f = self._dataset.transform[:6]  # of the upper left corner of a pixel: as our coordinates are
        x, y = a * points[:, 0] + b * points[:, 1] + c, d * points[:, 0] + e * points[:, 1] + f
        with self._reading():
            found = np.stack(transform(self._dataset.crs, "EPSG:4326", x, y), axis=1)
        if not np.isfinite(found).all():
            raise UserError(f"{self._path}: some of its places have no longitude and latitude; check its projection")
        return found

    def _sample(self) -> npt.NDArray[Any]:
        """Values from 16 windows all over the image, none of pixels without data."""
        height, width = self.size
        if self._dataset.dtypes[self._bands[0] - 1] == "uint8":
            return np.zeros((1, 1), np.uint8)
        found = []
        for top in np.linspace(0, max(height - _SAMPLE, 0), 4).astype(int).tolist():
            for left in np.linspace(0, max(width - _SAMPLE, 0), 4).astype(int).tolist():
                window = (left, top, min(left + _SAMPLE, width), min(top + _SAMPLE, height))
                found.append(self.values(window)[~self.missing(window)].reshape(-1, 1))
        return np.concatenate(found)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        from rasterio.errors import RasterioError

        try:
            yield
        except RasterioError as error:
            raise UserError(f"{self._path}: broken or incomplete TIFF file ({error}); replace it") from error


@contextmanager
def opened_geotiff(path: Path) -> Iterator[GeoImage]:
    """The image in a file for which `is_geotiff` holds; the file is closed at the end."""
    with _dataset(path) as dataset:
        yield GeoImage(dataset, path)


def is_geotiff(path: Path) -> bool:
    """Whether a file is a TIFF with a place on Earth or gaps; never where `rasterio` is not installed."""
    if find_spec("rasterio") is None or not first_bytes(path, "an image").startswith(TIFF):
        return False
    from rasterio.errors import RasterioError

    try:
        with _dataset(path) as dataset:
            return dataset.crs is not None or dataset.nodata is not None
    except RasterioError:  # other readers say what is wrong with it
        return False


@contextmanager
def _dataset(path: Path) -> Iterator[DatasetReader]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(path, driver="GTiff")  # of GDAL's many formats this one alone
    with dataset:
        yield dataset


def _colour_bands(dataset: DatasetReader, path: Path) -> list[int]:
    """The numbers, from 1, of red, green and blue, or of a single one that is grey."""
    kinds = [kind.name for kind in dataset.colorinterp]
    if {"red", "green", "blue"} <= set(kinds):
        return [kinds.index(colour) + 1 for colour in ("red", "green", "blue")]
    colours = [number for number, kind in enumerate(kinds, start=1) if kind != "alpha"]
    if len(colours) not in (1, 3) or "palette" in kinds:
        raise UserError(f"{path}: expected a TIFF in RGB or grey, got bands of {', '.join(kinds)}")
    return colours


def _window(window: Window) -> Any:
    from rasterio.windows import Window as RasterWindow

    x1, y1, x2, y2 = window
    return RasterWindow(x1, y1, x2 - x1, y2 - y1)
