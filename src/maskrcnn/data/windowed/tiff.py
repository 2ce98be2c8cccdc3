"""TIFF and BigTIFF by the tiles or strips that they are stored in."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from maskrcnn.data.image_header import ORIENTATION_TAG, known_orientation
from maskrcnn.data.images import TIFF
from maskrcnn.data.windowed.arrays import ArrayImage
from maskrcnn.data.windowed.values import ToBytes
from maskrcnn.errors import UserError
from maskrcnn.files import first_bytes
from maskrcnn.structures import Size
from maskrcnn.structures.large_image import Window
from maskrcnn.structures.masks import ByteArray

if TYPE_CHECKING:
    from tifffile import TiffPage

CACHE = 256 << 20
"""Bytes of decoded tiles of a file that are kept for the next tile of ours, which overlaps with this one."""

_COLOURS = {1, 2, 6}
"""TIFF's numbers of grey, RGB and YCbCr, which its JPEG tiles are decoded from."""

_UNCOMPRESSED = 1
_DEFLATE = frozenset({8, 32946})
_INTO_A_BUFFER = frozenset({_UNCOMPRESSED, 5, 32773, 34925, 34926, 50000}) | _DEFLATE
"""TIFF's compressions (LZW, PackBits, LZMA, Zstandard) that imagecodecs unpacks into the bytes of a tile."""

_SEPARATE = 2
"""TIFF's number of an order with a plane for each colour."""


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

    @property
    def size(self) -> Size:
        """(height, width), pixels."""
        return int(self._page.imagelength), int(self._page.imagewidth)

    @cached_property
    def _to_bytes(self) -> ToBytes:
        return ToBytes.of(self._sample())

    @property
    def bytes_of_part(self) -> int:
        """What a tile or strip takes once it is decoded."""
        rows, columns = min(self._tile[0], self._page.imagelength), self._tile[1]
        return int(rows * columns * self._samples * np.dtype(self._page.dtype).itemsize)

    def read(self, window: Window) -> ByteArray:
        """As `LargeImage`."""
        return self._to_bytes(self.values(window))

    def values(self, window: Window) -> npt.NDArray[Any]:
        """(h, w, samples) of a window as the file has them."""
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
        content = file.read(length)
        try:
            self._require_bearable(content, length)
            tile, _, shape = self._page.decode(content, index, jpegtables=self._page.jpegtables)
        except Exception as error:  # its decoders answer broken bytes with almost any type
            advice = "pip install imagecodecs" if "imagecodecs" in str(error) else "replace the file"
            raise UserError(f"{self._path}: tile {index} of the TIFF cannot be decoded ({error}); {advice}") from error
        stored = np.zeros((*self._tile, 1), self._page.dtype) if tile is None else tile[0, : shape[1], : shape[2]]
        self._cache[index] = stored
        while sum(part.nbytes for part in self._cache.values()) > CACHE and len(self._cache) > 1:
            self._cache.popitem(last=False)
        return stored

    def _require_bearable(self, content: bytes, length: int) -> None:
        """Raise ValueError for a tile that is cut off, or claims to be more than a tile."""
        kind = int(self._page.compression)
        if len(content) < length:
            raise ValueError(f"{length} bytes expected, {len(content)} there")
        if kind not in _INTO_A_BUFFER:
            _require_claim(content, *self._tile)
        elif kind in _DEFLATE and find_spec("imagecodecs") is None:  # Python's own decoder knows no limit
            limit = self.bytes_of_part
            if len(zlib.decompressobj().decompress(content, limit + 1)) > limit:
                raise ValueError(f"it unpacks to more than {limit} bytes")
        elif kind != _UNCOMPRESSED and find_spec("imagecodecs") is None:
            raise ValueError(f"compression {kind} needs imagecodecs")

    def _sample(self) -> npt.NDArray[Any]:
        """Some tiles from all over the image, for the range of its values; none where bytes stay as they are."""
        if self._page.dtype == np.uint8:
            return np.zeros((1, 1, self._samples), np.uint8)
        indices = np.unique(np.linspace(0, self._per_plane - 1, 16).astype(int)).tolist()
        return np.concatenate([self._stored(index).reshape(-1, 1, 1) for index in indices])


def _require_claim(content: bytes, rows: int, columns: int) -> None:
    """Raise ValueError for JPEG, PNG, WebP or JPEG 2000 of more pixels, and for what is none of these."""
    try:
        with Image.open(BytesIO(content)) as header:
            width, height = header.size
    except UnidentifiedImageError:
        raise ValueError("its compression is not known") from None
    if width > columns or height > rows:
        raise ValueError(f"it claims {width} x {height} pixels")


def is_tiff(path: Path) -> bool:
    """Whether a file is a TIFF, and `tifffile` there to read it in parts."""
    return find_spec("tifffile") is not None and first_bytes(path, "an image").startswith(TIFF)


@contextmanager
def opened_tiff(path: Path) -> Iterator[TiffImage | ArrayImage | None]:
    """The first page of a TIFF file; None of one that is to be turned, or whose tiles are too large to be parts.

    What lies there in one piece, uncompressed, is mapped into memory.

    Raises:
        UserError: a broken file, colours that are no RGB and no grey, or a compression that needs another library.
    """
    import tifffile

    with ExitStack() as stack:
        try:
            file = stack.enter_context(tifffile.TiffFile(path))
            page = file.pages[0]
            whole = page.aspage() if isinstance(page, tifffile.TiffFrame) else page
            tag = whole.tags.get(ORIENTATION_TAG)
        except Exception as error:  # a broken directory can go wrong anywhere
            raise UserError(f"{path}: broken or incomplete TIFF file ({error}); replace it") from error
        if tag is not None and known_orientation(tag.value) != 1:
            yield None
            return
        image = TiffImage(whole, path)
        if image.bytes_of_part <= CACHE:
            yield image
        elif whole.is_memmappable and int(whole.planarconfig) != _SEPARATE:
            yield ArrayImage(whole.asarray(out="memmap"), str(path))
        else:
            yield None
