"""Images of which parts are read: arrays, memory maps, TIFF files by their own tiles.

Whatever is read becomes uint8 RGB by the rules of `data.images`, with one difference: 16 bits and floats are stretched
by percentiles of a sample, since nobody reads a whole slide twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from maskrcnn.data.arrays import stored_array
from maskrcnn.data.channel_files import read_header
from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.images import TIFF, image_size
from maskrcnn.errors import UserError
from maskrcnn.files import first_bytes, open_regular
from maskrcnn.large.geotiff import is_geotiff, opened_geotiff
from maskrcnn.large.tiling import LargeImage
from maskrcnn.large.values import ToBytes
from maskrcnn.masks.rle import Window
from maskrcnn.sources import Source, source_pixels
from maskrcnn.structures import Size
from maskrcnn.structures.masks import ByteArray

if TYPE_CHECKING:
    from tifffile import TiffPage

CACHE = 256 << 20
"""Bytes of decoded tiles of a file that are kept for the next tile of ours, which overlaps with this one."""

_COLOURS = {1, 2, 6}
"""TIFF's numbers of grey, RGB and YCbCr, which its JPEG tiles are decoded from."""

_SEPARATE = 2
"""TIFF's number of an order with a plane for each colour."""


@contextmanager
def opened(source: Source, channels: Channels = RGB) -> Iterator[LargeImage]:
    """The image behind a file or in memory; the file is closed at the end.

    A `.npy` file is mapped into memory and a TIFF read by its own tiles or strips, where `tifffile` is installed; one
    with gaps or a place on Earth by `rasterio`, where that is installed. Everything else is decoded as a whole, and so
    are images of other channels than RGB.

    Raises:
        UserError: no such file, or nothing that can be read as an image.
    """
    if not channels.rgb:
        yield WholeImage(source_pixels(source, channels))
    elif isinstance(source, np.ndarray):
        yield ArrayImage(source, "image array")
    elif isinstance(source, str | Path) and Path(source).suffix.lower() == ".npy":
        yield ArrayImage(_mapped(Path(source)), str(source))
    elif isinstance(source, str | Path) and is_geotiff(Path(source)):
        with opened_geotiff(Path(source)) as image:
            yield image
    elif isinstance(source, str | Path) and _is_tiff(Path(source)):
        with _opened_tiff(Path(source)) as image:
            yield image
    else:
        yield ArrayImage(source_pixels(source), str(source))


def size_of(source: Path, channels: Channels = RGB) -> Size | None:
    """(height, width) of an image file without decoding it; None where it cannot be read, for whatever reason."""
    try:
        if not channels.rgb:
            return read_header(source, channels, max_pixels=1 << 62).size
        if source.suffix.lower() == ".npy" or _is_tiff(source):
            with opened(source) as image:
                return image.size
        return image_size(source, max_pixels=1 << 62)
    except UserError:
        return None


class WholeImage:
    """An image that is in memory as (H, W, C) bytes."""

    def __init__(self, pixels: ByteArray) -> None:
        self._pixels = pixels

    @property
    def size(self) -> Size:
        """(height, width), pixels."""
        return self._pixels.shape[0], self._pixels.shape[1]

    def read(self, window: Window) -> ByteArray:
        """As `LargeImage`."""
        x1, y1, x2, y2 = window
        return self._pixels[y1:y2, x1:x2]


class ArrayImage:
    """An array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of numbers, also one that lies in a file.

    Raises:
        UserError: an array of another shape or of no numbers.
    """

    def __init__(self, pixels: npt.NDArray[Any], where: str) -> None:
        if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4)) or 0 in pixels.shape:
            raise UserError(f"{where}: expected an array (H, W) or (H, W, 3), got {pixels.shape}")
        if pixels.dtype.kind not in "buif":
            raise UserError(f"{where}: expected numbers, got {pixels.dtype}")
        self._pixels = pixels
        self._to_bytes = ToBytes.of(pixels)

    @property
    def size(self) -> Size:
        """(height, width), pixels."""
        return self._pixels.shape[0], self._pixels.shape[1]

    def read(self, window: Window) -> ByteArray:
        """As `LargeImage`."""
        x1, y1, x2, y2 = window
        return self._to_bytes(np.asarray(self._pixels[y1:y2, x1:x2]))


class TiffImage:
    """A page of a TIFF file, by the tiles or strips that it is stored in.

    Raises:
        UserError: colours that are no RGB and no grey, or a compression that needs another library.
    """

    def __init__(self, page: TiffPage, path: Path) -> None:
        self._page, self._path = page, path
        self._cache: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()
        samples, colours = int(page.samplesperpixel), int(page.photometric)
        if page.dtype is None or samples not in (1, 3, 4) or page.imagedepth != 1 or colours not in _COLOURS:
            raise UserError(
                f"{path}: expected a TIFF in RGB or grey, got {samples} samples of photometric kind {colours}"
            )
        self._samples = samples
        tiled = page.is_tiled
        self._tile = (page.tilelength, page.tilewidth) if tiled else (page.rowsperstrip, page.imagewidth)
        self._across = -(-page.imagewidth // self._tile[1])
        self._per_plane = self._across * -(-page.imagelength // self._tile[0])
        self._to_bytes = ToBytes.of(self._sample())

    @property
    def size(self) -> Size:
        """(height, width), pixels."""
        return int(self._page.imagelength), int(self._page.imagewidth)

    def read(self, window: Window) -> ByteArray:
        """As `LargeImage`."""
        return self._to_bytes(self._values(window))

    def _values(self, window: Window) -> npt.NDArray[Any]:
        x1, y1, x2, y2 = window
        values = np.zeros((y2 - y1, x2 - x1, self._samples), self._page.dtype)
        rows, columns = self._tile
        separate = int(self._page.planarconfig) == _SEPARATE and self._samples > 1
        for row in range(y1 // rows, -(-y2 // rows)):
            for column in range(x1 // columns, -(-x2 // columns)):
                top, left = row * rows, column * columns
                into = values[max(top - y1, 0) : top + rows - y1, max(left - x1, 0) : left + columns - x1]
                for plane in range(self._samples if separate else 1):
                    stored = self._stored(plane * self._per_plane + row * self._across + column)
                    part = stored[max(y1 - top, 0) :, max(x1 - left, 0) :][: into.shape[0], : into.shape[1]]
                    target = into[..., plane : plane + 1] if separate else into
                    target[: part.shape[0], : part.shape[1]] = part
        return values

    def _stored(self, index: int) -> npt.NDArray[Any]:
        """(rows, columns, samples) of one tile or strip; kept while there is room."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        offset, length = self._page.dataoffsets[index], self._page.databytecounts[index]
        if not length:  # never written: blank
            return np.zeros((*self._tile, 1), self._page.dtype)
        file = self._page.parent.filehandle
        file.seek(offset)
        try:
            tile, _, shape = self._page.decode(file.read(length), index, jpegtables=self._page.jpegtables)
        except Exception as error:  # its decoders answer broken bytes with almost any type
            advice = "pip install imagecodecs" if "imagecodecs" in str(error) else "replace the file"
            raise UserError(f"{self._path}: tile {index} of the TIFF cannot be decoded ({error}); {advice}") from error
        stored = np.zeros((*self._tile, 1), self._page.dtype) if tile is None else tile[0, : shape[1], : shape[2]]
        self._cache[index] = stored
        while sum(part.nbytes for part in self._cache.values()) > CACHE and len(self._cache) > 1:
            self._cache.popitem(last=False)
        return stored

    def _sample(self) -> npt.NDArray[Any]:
        """Some tiles from all over the image, for the range of its values; none where bytes stay as they are."""
        if self._page.dtype == np.uint8:
            return np.zeros((1, 1, self._samples), np.uint8)
        indices = np.unique(np.linspace(0, self._per_plane - 1, 16).astype(int)).tolist()
        return np.concatenate([self._stored(index).reshape(-1, 1, 1) for index in indices])


def _mapped(path: Path) -> npt.NDArray[Any]:
    with open_regular(path, "an array") as stream:
        try:
            return stored_array(stream)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None


def _is_tiff(path: Path) -> bool:
    """And one that can be read in parts."""
    return find_spec("tifffile") is not None and first_bytes(path, "an image").startswith(TIFF)


@contextmanager
def _opened_tiff(path: Path) -> Iterator[LargeImage]:
    import tifffile

    with ExitStack() as stack:
        try:
            file = stack.enter_context(tifffile.TiffFile(path))
            page = file.pages[0]
            whole = page.aspage() if isinstance(page, tifffile.TiffFrame) else page
        except Exception as error:  # a broken directory can go wrong anywhere
            raise UserError(f"{path}: broken or incomplete TIFF file ({error}); replace it") from error
        yield TiffImage(whole, path)
