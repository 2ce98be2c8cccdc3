"""TIFF files of any number of channels, read by `tifffile`: the samples of a page, and the pages after it.

The channels are all samples (planes or interleaved) of the first page, then those of the pages that follow it and are
of the same size and kind; the first unlike page (a preview, a smaller level, a mask) ends them. Values are taken as
stored.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from maskrcnn.data.image_header import ORIENTATION_TAG, ImageHeader, known_orientation
from maskrcnn.data.pixels import channel_bytes
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from tifffile import TiffPage

MAX_CHANNELS = 1024
"""Pages of more are not counted."""

BYTES = np.dtype(np.uint8)

_PALETTE, _UNCOMPRESSED = 3, 1
_TILE = 1024
"""Pixels of a side that a tile may have in a smaller image; decoders make room for the whole tile."""


class TiffChannels:
    """An open TIFF file.

    Args:
        stream: the file.

    Attributes:
        header: what the file says of itself.
        kind: of the numbers.
        cost: bytes that are held at a time while it is decoded, by what the file claims.

    Raises:
        UserError: without the name of the file: `tifffile` is not installed, or pixels that are no numbers.
    """

    def __init__(self, stream: BinaryIO) -> None:
        if find_spec("tifffile") is None:
            raise UserError("expected tifffile to read the channels of a TIFF with; pip install tifffile")
        _silence()
        from tifffile import TiffFile

        self._pages = list(_like_the_first(TiffFile(stream).pages))
        first = self._pages[0]
        _require_readable(first)
        size, samples = (int(first.imagelength), int(first.imagewidth)), int(first.samplesperpixel)
        tag = first.tags.get(ORIENTATION_TAG)
        orientation = known_orientation(None if tag is None else tag.value)
        self.kind = np.dtype(first.dtype)
        self.header = ImageHeader.of_stored(size, orientation, samples * len(self._pages))
        self.cost = size[0] * size[1] * (2 * samples * first.dtype.itemsize + 8)

    def read(self, kind: np.dtype[Any] = BYTES) -> npt.NDArray[Any]:
        """(H, W, C) of the pixels as they are stored: uint8, each channel as `pixels.channel_bytes` says, or `kind`."""
        height, width = self.header.raw_size
        pixels = np.empty((height, width, self.header.channels), kind)
        planes = (plane for page in self._pages for plane in _planes(page))
        for channel, plane in enumerate(planes):
            pixels[:, :, channel] = channel_bytes(plane) if kind == BYTES else plane
        return pixels


def _like_the_first(pages: Any) -> Iterator[TiffPage]:
    first = None
    for number in count():
        try:
            page = pages[number]
        except IndexError:
            return
        first = first or page
        if _kind(page) != _kind(first) or number >= MAX_CHANNELS:
            return
        yield page


def _kind(page: TiffPage) -> tuple[Any, ...]:
    return page.imagelength, page.imagewidth, page.samplesperpixel, page.dtype, page.photometric


def _require_readable(page: TiffPage) -> None:
    """What is not read, by the page's claims alone."""
    if page.dtype is None or page.dtype.kind not in "buif" or page.photometric == _PALETTE or page.imagedepth != 1:
        what = f"{page.bitspersample} bits, photometric kind {int(page.photometric)}"
        raise UserError(f"expected a TIFF whose pixels are whole numbers or floats, got {what}; convert it")
    if min(page.imagelength, page.imagewidth, page.samplesperpixel) < 1:
        raise UserError("the TIFF claims an image without pixels; it is damaged, replace it")
    if page.is_tiled and (
        page.tilelength > max(page.imagelength, _TILE) or page.tilewidth > max(page.imagewidth, _TILE)
    ):
        raise UserError(
            f"the TIFF claims tiles of {page.tilewidth} x {page.tilelength} pixels; it is damaged, replace it"
        )
    if page.compression != _UNCOMPRESSED and find_spec("imagecodecs") is None:  # whose decoders stop where they should
        raise UserError("expected imagecodecs to read a compressed TIFF with; pip install imagecodecs")


def _planes(page: TiffPage) -> Iterator[npt.NDArray[Any]]:
    """(H, W) of each sample."""
    values = page.asarray(maxworkers=1)
    if page.samplesperpixel == 1:
        yield values.reshape(page.imagelength, page.imagewidth)
    elif page.axes.endswith("S"):
        yield from np.moveaxis(values, -1, 0)
    else:
        yield from values


@cache
def _silence() -> None:
    """It logs each oddity of a file; where nobody has asked for a log, that would go to the terminal."""
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
