"""Reading of image files of any number of channels, each as bytes.

Three channels are RGB, and read by the rules at the top of `images.py`; a `.npy` file of three is read as that array in
memory is (`sources.py`), and its floats channel by channel as below. With another number (`input.channels`), or three
of another kind (`input.rgb` is false), files are

- TIFF: samples and pages, see `tiff_channels.py`.
- `.npy`: an array (H, W, C), (C, H, W) or (H, W), see `arrays.py`.
- PNG, WebP, JPEG, BMP: their own channels. Grey is one, RGBA is four and laid over nothing; a palette gives colours. 16
  bits per colour are read as for RGB.

Bytes stay as they are. Every channel of other numbers is stretched by itself as 16-bit grey pictures are, see
`images.py`; what is not finite becomes 0, and so does a channel of one value.
EXIF orientation is applied, in TIFF too. A file with another number of channels is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from maskrcnn.data.arrays import (
    NPY,
    Numbers,
    array_pixels,
    as_channels_last,
    channels_as_bytes,
    is_rgb_array,
    stored_array,
)
from maskrcnn.data.channels import ANY, RGB, UNKNOWN, Channels
from maskrcnn.data.decoding_cost import require_free
from maskrcnn.data.image_header import ImageHeader, TooManyPixels, require_bearable_size, upright_turn
from maskrcnn.data.images import (
    MAX_PIXELS,
    TIFF,
    ImagePath,
    opened_image,
    read_image,
    read_image_of,
    read_labelled_image,
)
from maskrcnn.data.images import read_header as read_rgb_header
from maskrcnn.data.pixels import band_pixels, rgb_pixels, stays_in_bytes, turned_array, unstretched
from maskrcnn.data.tiff_channels import BYTES, TiffChannels
from maskrcnn.data.windowed.parts import opened_in_parts
from maskrcnn.errors import UserError
from maskrcnn.files import first_bytes, open_regular
from maskrcnn.structures import Size
from maskrcnn.structures.large_image import LargeImage, StoredImage, Window
from maskrcnn.structures.masks import ByteArray
from maskrcnn.text import one_line

T = TypeVar("T")

Decode = Callable[[bool], Numbers]
"""Upright (True), or as it is stored -> (H, W, C) uint8, or the file's own numbers."""

_RGB_ARRAYS = (1, 3)
"""Channels of an array that becomes RGB: grey and RGB. Four may be anything, so that nothing is laid over white."""


def read_pixels(path: ImagePath, channels: Channels = RGB, max_pixels: int = MAX_PIXELS) -> ByteArray:
    """Decode an image file and set it upright.

    Returns:
        (H, W, C) uint8, contiguous.

    Raises:
        UserError: as `images.read_image`, or a file with another number of channels.
    """
    if channels.rgb and not _is_array_name(path):
        return _or_by_parts(path, max_pixels, lambda: read_image(path, max_pixels))
    with _opened(path, channels, max_pixels) as (_, decode):
        return decode(True)


def read_pixels_of(content: bytes, where: str, channels: Channels = RGB, max_pixels: int = MAX_PIXELS) -> ByteArray:
    """The same of an image file in memory; `where` names it in messages."""
    stream = BytesIO(content)
    if channels.rgb and not content.startswith(NPY):
        return read_image_of(stream, where, max_pixels)
    with _decoding(stream, where, channels, max_pixels, decode=True) as (_, decode):
        return decode(True)


def read_stored(path: ImagePath, channels: Channels = RGB, max_pixels: int = MAX_PIXELS) -> Numbers:
    """Decode an image file upright, for measurements: with the numbers that it has where `read_pixels` stretches them.

    Returns:
        (H, W, C), one channel of grey; uint8 as `read_pixels` gives them where the file has no more than 8 bits, and
        of colours that Pillow decodes, which it gives no more.

    Raises:
        UserError: as `read_pixels`.
    """
    if channels.rgb and not _is_array_name(path):
        plain = unstretched(rgb_pixels)
        return _or_by_parts(path, max_pixels, lambda: read_image(path, max_pixels, plain), read_part=_stored_part)
    with _opened(path, channels, max_pixels, stored=True) as (_, decode):
        return decode(True)


def read_stored_of(content: bytes, where: str, channels: Channels = RGB, max_pixels: int = MAX_PIXELS) -> Numbers:
    """The same of an image file in memory; `where` names it in messages."""
    stream = BytesIO(content)
    if channels.rgb and not content.startswith(NPY):
        return read_image_of(stream, where, max_pixels, unstretched(rgb_pixels))
    with _decoding(stream, where, channels, max_pixels, decode=True, stored=True) as (_, decode):
        return decode(True)


def read_labelled_pixels(
    path: ImagePath, label_size: tuple[int, int], channels: Channels = RGB, max_pixels: int = MAX_PIXELS
) -> ByteArray:
    """Decode the picture that labels made for `label_size` refer to, see `images.read_labelled_image`."""
    if channels == UNKNOWN:
        return _one_of(lambda kind: read_labelled_pixels(path, label_size, kind, max_pixels))
    if channels.rgb and not _is_array_name(path):
        return _or_by_parts(path, max_pixels, lambda: read_labelled_image(path, label_size, max_pixels), label_size)
    with _opened(path, channels, max_pixels) as (header, decode):
        header.require_labelled(label_size)
        return decode(not header.is_labelled_raw(label_size))


def _part(image: LargeImage, window: Window) -> ByteArray:
    return image.read(window)


def _stored_part(image: StoredImage, window: Window) -> Numbers:
    """Transparency, and what has no more than 8 bits, as it is drawn."""
    values = image.values(window)
    values = values if values.ndim == 3 else values[:, :, None]
    return image.read(window) if stays_in_bytes(values.dtype) or values.shape[2] == 4 else values


def _or_by_parts(
    path: ImagePath,
    max_pixels: int,
    read: Callable[[], Numbers],
    size: Size | None = None,
    read_part: Callable[[StoredImage, Window], Numbers] = _part,
) -> Numbers:
    """What Pillow reads; of a TIFF that it cannot decode (with gaps, compressed otherwise) what other libraries do.

    The first error counts.
    """
    try:
        return read()
    except TooManyPixels:
        raise
    except UserError as error:
        with suppress(UserError), opened_in_parts(Path(path)) as image:
            if image is not None and size in (None, image.size):
                height, width = image.size
                require_bearable_size((width, height), max_pixels)
                return read_part(image, (0, 0, width, height))
        raise error


def read_header(path: ImagePath, channels: Channels = RGB, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Size, orientation and channels, without decoding; raises `UserError` as `read_pixels` does."""
    if channels == UNKNOWN:
        return _one_of(lambda kind: read_header(path, kind, max_pixels))
    if channels.rgb and not _is_array_name(path):
        return read_rgb_header(path, max_pixels)
    with _opened(path, channels, max_pixels, decode=False) as (header, _):
        return header


def _one_of(read: Callable[[Channels], T]) -> T:
    """As RGB, or else as it is; the first error counts."""
    try:
        return read(RGB)
    except UserError as error:
        try:
            return read(ANY)
        except UserError:
            raise error from None


def left_out(path: ImagePath) -> str:
    """A line where a TIFF file has more channels than its first page, or than RGB; empty where not, or nobody knows."""
    try:
        is_tiff = first_bytes(path, "an image").startswith(TIFF)
        count = read_header(path, ANY).channels if is_tiff else 0
    except UserError:
        return ""
    if count in (0, 1, 3, 4):
        return ""
    return f"{path}: {count} channels in all pages, read as RGB; if they make one image: --set input.channels={count}"


def _is_array_name(path: ImagePath) -> bool:
    return Path(path).suffix.lower() == ".npy"


@contextmanager
def _opened(
    path: ImagePath, channels: Channels, max_pixels: int, *, decode: bool = True, stored: bool = False
) -> Iterator[tuple[ImageHeader, Decode]]:
    with (
        open_regular(path, "an image") as stream,
        _decoding(stream, str(path), channels, max_pixels, decode=decode, stored=stored) as opened,
    ):
        yield opened


@contextmanager
def _decoding(
    stream: BinaryIO, where: str, channels: Channels, max_pixels: int, *, decode: bool, stored: bool = False
) -> Iterator[tuple[ImageHeader, Decode]]:
    """The header, with the right number of channels, and what decodes it; messages from inside name the file.

    With `stored` numbers of more than 8 bits stay as the file has them.
    """
    start = stream.read(len(NPY))
    stream.seek(0)
    if start != NPY and (channels.rgb or not start.startswith(TIFF)):
        convert = unstretched(band_pixels) if stored else band_pixels
        with opened_image(stream, where, max_pixels, convert, decode=decode) as (header, decoded):
            channels.require(header.channels)
            yield header, decoded
        return
    try:
        opened, cost = (_array if start == NPY else _tiff)(stream, channels, stored)
        height, width = opened[0].raw_size
        require_bearable_size((width, height), max_pixels)
        if decode:
            require_free(cost, (width, height))
        yield opened
    except UserError as error:
        raise type(error)(f"{where}: {error}") from None
    except MemoryError:
        raise UserError(f"{where}: not enough memory to decode this image; cut it into tiles") from None
    except Exception as error:  # decoders answer broken bytes with almost any type
        reason = one_line(str(error) or type(error).__name__)
        raise UserError(f"{where}: broken or incomplete image file ({reason}); replace it") from error


def _array(stream: BinaryIO, channels: Channels, stored: bool) -> tuple[tuple[ImageHeader, Decode], int]:
    """An open `.npy` file, and the bytes that reading it takes."""
    array = as_channels_last(stored_array(stream), _RGB_ARRAYS if channels.rgb else (channels.count,))
    height, width, count = array.shape
    if not channels.rgb or count not in _RGB_ARRAYS:
        channels.require(count)

    def decode(_: bool) -> Numbers:
        if stored and not stays_in_bytes(array.dtype):
            return array
        if not channels.rgb:
            return channels_as_bytes(array)
        return array_pixels(np.array(array) if is_rgb_array(array) else channels_as_bytes(array))

    return (ImageHeader((height, width), (height, width), 1, count), decode), array.size + 8 * height * width


def _tiff(stream: BinaryIO, channels: Channels, stored: bool) -> tuple[tuple[ImageHeader, Decode], int]:
    """The same of a TIFF file."""
    tiff = TiffChannels(stream)
    header, kind = tiff.header, tiff.kind if stored and not stays_in_bytes(tiff.kind) else BYTES
    channels.require(header.channels)

    def decode(upright: bool) -> Numbers:
        return turned_array(tiff.read(kind), upright_turn(header.orientation) if upright else None)

    height, width = header.raw_size
    return (header, decode), 2 * height * width * header.channels * kind.itemsize + tiff.cost
