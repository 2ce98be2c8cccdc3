"""Image files of which windows are read: the one place that knows which are, and how.

Whatever is read becomes uint8 RGB by the rules of `data.images`, with one difference: 16 bits and floats are stretched
by percentiles of a sample, since nobody reads a whole slide twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from maskrcnn.data.channel_files import read_header, read_labelled_pixels
from maskrcnn.data.channels import RGB, UNKNOWN, Channels
from maskrcnn.data.image_header import ImageHeader, TooManyPixels
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.data.windowed.arrays import ArrayImage, mapped
from maskrcnn.data.windowed.geotiff import is_geotiff, opened_geotiff
from maskrcnn.data.windowed.tiff import is_tiff, opened_tiff
from maskrcnn.errors import UserError
from maskrcnn.masks.rle_coco import LARGEST_LABELLED
from maskrcnn.structures import Size
from maskrcnn.structures.large_image import LargeImage, WholeImage, Window
from maskrcnn.structures.masks import ByteArray

_ANY_SIZE = 1 << 62

_STRIP = 1 << 24
"""Pixels that are decoded at a time."""


@contextmanager
def opened_in_parts(path: Path, channels: Channels = RGB) -> Iterator[LargeImage | None]:
    """The image behind a file of which windows are read; None where it has to be decoded as a whole.

    A `.npy` file is mapped into memory and a TIFF read by its own tiles or strips, where `tifffile` is installed; one
    with gaps or a place on Earth by `rasterio`, where that is installed. Images of other channels than RGB, and files
    of other kinds, are decoded as a whole.

    Raises:
        UserError: no such file, or a broken one.
    """
    if not channels.rgb:
        yield None
    elif path.suffix.lower() == ".npy":
        yield ArrayImage(mapped(path), str(path))
    elif is_geotiff(path):
        with opened_geotiff(path) as geo_image:
            yield geo_image
    elif is_tiff(path):
        with opened_tiff(path) as image:
            yield image
    else:
        yield None


@contextmanager
def opened_labelled(
    path: Path, label_size: Size, channels: Channels = RGB, max_pixels: int = MAX_PIXELS
) -> Iterator[LargeImage]:
    """The image that labels made for `label_size` refer to: windows of it, or where these cannot be read the whole.

    Args:
        path: the file.
        label_size: (height, width).
        channels: of the image.
        max_pixels: of an image that has to be decoded as a whole.

    Raises:
        UserError: as `read_labelled_pixels`.
    """
    with opened_in_parts(path, channels) as image:
        if image is not None and image.size == label_size:
            yield image
        else:
            yield WholeImage(read_labelled_pixels(path, label_size, channels, max_pixels))


@dataclass(frozen=True)
class LabelledFile:
    """A file as an image, which is opened anew for each window.

    Attributes:
        path: the file.
        size: (height, width) that its labels are made for.
        channels: of the image.
        max_pixels: of an image that has to be decoded as a whole.
    """

    path: Path
    size: Size
    channels: Channels = RGB
    max_pixels: int = MAX_PIXELS

    def read(self, window: Window) -> ByteArray:
        """As `LargeImage`; raises as `opened_labelled`."""
        with opened_labelled(self.path, self.size, self.channels, self.max_pixels) as image:
            return image.read(window)


def decode(path: Path, label_size: Size, channels: Channels = RGB) -> None:
    """Decode all of an image, a strip of one that is too large to be decoded as a whole at a time; raises as these."""
    height, width = label_size
    if height * width <= MAX_PIXELS:
        read_labelled_pixels(path, label_size, channels)
        return
    with opened_labelled(path, label_size, RGB if channels == UNKNOWN else channels) as image:
        rows = max(_STRIP // width, 1)
        for top in range(0, height, rows):
            image.read((0, top, width, min(top + rows, height)))


def labelled_header(path: Path, channels: Channels = RGB, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """The header of an image with labels: of one that windows can be read of, however large it is.

    Args:
        path: the file.
        channels: of the image.
        max_pixels: of an image that has to be decoded as a whole.

    Raises:
        UserError: as `read_header`.
    """
    try:
        return read_header(path, channels, max_pixels)
    except TooManyPixels:
        with opened_in_parts(path, RGB if channels == UNKNOWN else channels) as image:
            if image is None:
                raise
        return read_header(path, channels, LARGEST_LABELLED)


def size_of(path: Path, channels: Channels = RGB) -> Size | None:
    """(height, width) of an image file without decoding it; None where it cannot be read, for whatever reason."""
    try:
        with opened_in_parts(path, channels) as image:
            return read_header(path, channels, _ANY_SIZE).size if image is None else image.size
    except UserError:
        return None
