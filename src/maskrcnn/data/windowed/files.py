"""Image files with labels, of which windows are read where that is possible, and all of them where not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from maskrcnn.data.channel_files import read_header, read_labelled_pixels
from maskrcnn.data.channels import RGB, UNKNOWN, Channels
from maskrcnn.data.image_header import ImageHeader, TooManyPixels
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.data.windowed.parts import opened_in_parts
from maskrcnn.errors import UserError
from maskrcnn.masks.rle_coco import LARGEST_LABELLED
from maskrcnn.structures import Size
from maskrcnn.structures.large_image import LargeImage, WholeImage, Window
from maskrcnn.structures.masks import ByteArray

_ANY_SIZE = 1 << 62

_STRIP = 1 << 24
"""Pixels that are decoded at a time."""


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
