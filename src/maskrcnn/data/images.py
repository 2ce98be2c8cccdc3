"""Reading of image files: JPEG, PNG, WebP, TIFF and BMP, known by their content and never by their name.

Whatever a file holds becomes (H, W, 3) uint8 RGB by these rules:

- 1-bit and 8-bit grey: the value in all three channels. Palette: its colours.
- 16-bit grey, 32-bit integers and floats: stretched linearly, so that the 0.1st and the 99.9th percentile of the
  picture's own values become 0 and 255 (microscopes use a small and shifting part of the range); where both are one
  value, since few pixels have another, the least and the largest. A picture of a single value becomes black.
- 16 bits per colour: the high byte. Where no colour reaches a quarter of the range (2^14), as in scenes of 10 to 14
  bits, the three are stretched together by the rule for grey (but not those of a picture that Pillow decoded before).
- Transparency: laid over white.
- CMYK: Pillow's conversion, without colour management.
- Several pictures in one file: the first.
- EXIF orientation: applied, so that the picture stands upright. Labels refer to the upright picture too, unless
  their width and height fit the stored pixels alone: then the stored pixels are used (`read_labelled_image`).

Pillow decodes. Its classes are called directly and not through `Image.open`, so that no other format can be reached
and no global limit of Pillow's needs to change; size, memory and scans are checked before anything is decoded.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from maskrcnn.data.decoding_cost import require_bearable
from maskrcnn.data.deep_colours import loaded
from maskrcnn.data.image_header import (
    ORIENTATION_TAG,
    ImageHeader,
    TooManyPixels,
    as_stored,
    known_orientation,
    require_bearable_size,
    upright_turn,
)
from maskrcnn.data.pixels import Convert, num_bands, rgb_pixels
from maskrcnn.data.tiff import require_well_read, silence_libtiff, unread_kind
from maskrcnn.errors import UserError
from maskrcnn.file_kinds import START
from maskrcnn.files import open_regular, unexpected
from maskrcnn.structures import Size
from maskrcnn.structures.masks import ByteArray

MAX_PIXELS = 200_000_000
"""Images that claim more are refused before they are decoded."""

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a TIFF file, and of a BigTIFF."""

SIGNATURES: dict[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"RIFF": WebPImageFile,
    **dict.fromkeys(TIFF, TiffImageFile),
    b"BM": BmpImageFile,
}
"""The formats read, by the first bytes of the file."""

ImagePath = str | os.PathLike[str]

__all__ = ["ImageHeader", "TooManyPixels"]  # which others import from here


def read_image(path: ImagePath, max_pixels: int = MAX_PIXELS, convert: Convert = rgb_pixels) -> ByteArray:
    """Decode an image file and set it upright.

    Returns:
        (H, W, 3) uint8 RGB, contiguous, or what another rule `convert` makes of its values.

    Raises:
        UserError: no such file, not an image of the formats read, above `max_pixels`, more than the free memory
            holds while it is decoded, a JPEG of too many scans, broken or cut short.
    """
    with _opened(path, max_pixels, decode=True) as image:
        return _decoded(image, upright=True, convert=convert)


def read_image_of(
    stream: BinaryIO, where: str, max_pixels: int = MAX_PIXELS, convert: Convert = rgb_pixels
) -> ByteArray:
    """The same of an image file in memory; `where` names it in messages."""
    with _decoding(where, stream, max_pixels, decode=True) as image:
        return _decoded(image, upright=True, convert=convert)


def read_labelled_image(path: ImagePath, label_size: Size, max_pixels: int = MAX_PIXELS) -> ByteArray:
    """Decode the picture that labels made for `label_size` refer to: the upright one, or else the stored pixels.

    Raises:
        UserError: as `read_image`, or the picture has neither way this size.
    """
    with _opened(path, max_pixels, decode=True) as image:
        header = _header(image)
        header.require_labelled(label_size)
        return _decoded(image, upright=not header.is_labelled_raw(label_size))


def read_values(path: ImagePath, max_pixels: int = MAX_PIXELS) -> npt.NDArray[Any]:
    """The numbers of an image file as it holds them, for masks: palette indices, 8, 16 or 32 bits, colours.

    Returns:
        (H, W) or (H, W, C) of whatever type the file has.

    Raises:
        UserError: as `read_image`.
    """
    with _opened(path, max_pixels, decode=True) as image:
        image.load()
        return np.asarray(image)


def read_colours(path: ImagePath) -> npt.NDArray[Any]:
    """The same in colours, for masks in which these mean something: those of a palette; grey of 8 bits is all three.

    Returns:
        (H, W, C), or (H, W) of more than 8 bits.

    Raises:
        UserError: as `read_image`.
    """
    with _opened(path, MAX_PIXELS, decode=True) as image:
        image.load()
        if image.mode in ("1", "L"):
            return np.asarray(image.convert("RGB"))
        if image.mode == "P":
            return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
        return np.asarray(image)


def read_values_of(stream: BinaryIO, where: str, max_pixels: int = MAX_PIXELS) -> npt.NDArray[Any]:
    """The same of a picture in memory; `where` names it in messages."""
    with _decoding(where, stream, max_pixels, decode=True) as image:
        image.load()
        return np.asarray(image)


def is_jpeg(path: ImagePath) -> bool:
    """Whether a file is a JPEG, which changes the numbers that it is given; raises `UserError` as `read_image` does."""
    with open_regular(path, "an image") as stream:
        return _format_of(path, stream) is JpegImageFile


def read_header(path: ImagePath, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Size and orientation, without decoding; raises `UserError` as `read_image` does."""
    with _opened(path, max_pixels) as image:
        return _header(image)


def image_size(path: ImagePath, max_pixels: int = MAX_PIXELS) -> Size:
    """(height, width) of the upright picture, without decoding; raises `UserError` as `read_image` does."""
    return read_header(path, max_pixels).size


@contextmanager
def opened_image(
    stream: BinaryIO, where: str, max_pixels: int, convert: Convert, *, decode: bool
) -> Iterator[tuple[ImageHeader, Callable[[bool], ByteArray]]]:
    """The header of an open file, and what decodes it by a rule of one's own, upright (True) or as it is stored."""
    with _decoding(where, stream, max_pixels, decode=decode) as image:
        yield _header(image), lambda upright: _decoded(image, upright=upright, convert=convert)


@contextmanager
def _opened(path: ImagePath, max_pixels: int, *, decode: bool = False) -> Iterator[ImageFile]:
    """The image behind its header, of bearable size; what goes wrong inside the block names the file."""
    with open_regular(path, "an image") as stream, _decoding(path, stream, max_pixels, decode=decode) as image:
        yield image


@contextmanager
def _decoding(path: ImagePath, stream: BinaryIO, max_pixels: int, *, decode: bool) -> Iterator[ImageFile]:
    """The same of an open stream; `path` is its name in messages."""
    with warnings.catch_warnings():
        # Pillow warns of oddities (a strange EXIF block) that do not change the pixels.
        warnings.simplefilter("ignore")
        image_class = _format_of(path, stream)
        try:
            if image_class is WebPImageFile:  # opening one makes room for its pixels
                require_bearable_size(_webp_size(stream), max_pixels)
            image = image_class(stream)
            require_bearable_size(image.size, max_pixels)
            if decode:
                require_bearable(image, stream)
                require_well_read(image)
            yield image
        except UserError as error:
            raise type(error)(f"{path}: {error}") from None
        except MemoryError:
            raise UserError(f"{path}: not enough memory to decode this image; cut it into tiles") from None
        except Exception as error:
            # Pillow's decoders answer broken bytes with almost any type: OSError, SyntaxError, struct.error, ...
            raise _unreadable(path, image_class, stream, error) from error


def _unreadable(path: ImagePath, image_class: type[ImageFile], stream: BinaryIO, error: Exception) -> UserError:
    if isinstance(error, Image.DecompressionBombError):
        return UserError(f"{path}: more pixels than Pillow decodes in this format ({error}); save it as PNG")
    if image_class is TiffImageFile and isinstance(error, SyntaxError) and (kind := unread_kind(stream)):
        return UserError(
            f"{path}: a TIFF of {kind}, which Pillow does not read; save it as grey or RGB of 8 or 16 bits"
        )
    reason = str(error) or type(error).__name__
    return UserError(f"{path}: broken or incomplete image file ({reason}); replace it")


def _format_of(path: ImagePath, stream: BinaryIO) -> type[ImageFile]:
    start = stream.read(START)
    stream.seek(0)
    for signature, image_class in SIGNATURES.items():
        if start.startswith(signature) and (signature != b"RIFF" or start[8:12] == b"WEBP"):
            if image_class is TiffImageFile:
                silence_libtiff()
            return image_class
    raise unexpected(path, start, "a JPEG, PNG, WebP, TIFF or BMP image", "convert or remove it")


def _webp_size(stream: BinaryIO) -> tuple[int, int]:
    """(width, height) that a WebP file claims, in whichever of the three forms; 0 where it is in none."""
    start = stream.read(30)
    stream.seek(0)
    match start[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(start[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            return int.from_bytes(start[26:28], "little") & 0x3FFF, int.from_bytes(start[28:30], "little") & 0x3FFF
    return 0, 0


def decoded_image(image: Image.Image, convert: Convert = rgb_pixels) -> ByteArray:
    """(H, W, 3) uint8 RGB of a Pillow image, set upright by its EXIF orientation, as its file would be.

    `convert` is another rule for its values, such as `pixels.band_pixels`.

    Raises:
        UserError: it cannot be decoded.
    """
    try:
        return _decoded(image, upright=True, convert=convert)
    except Exception as error:
        raise UserError(f"Pillow image: broken or incomplete ({error or type(error).__name__}); replace it") from error


def _header(image: ImageFile) -> ImageHeader:
    """Read the header of an opened image; `image.size` is that of the upright picture in TIFF files alone."""
    width, height = image.size
    orientation, channels = _orientation(image), num_bands(image)
    turned = (width, height) if orientation >= 5 else (height, width)
    if isinstance(image, TiffImageFile):
        return ImageHeader((height, width), turned, orientation, channels)
    return ImageHeader(turned, (height, width), orientation, channels)


def _orientation(image: Image.Image) -> int:
    try:
        # The base class's method: that of PNG files would decode the picture to look for a block behind it.
        return known_orientation(Image.Image.getexif(image).get(ORIENTATION_TAG, 1))
    except Exception:  # a damaged EXIF block says nothing, and the picture may still be whole
        return 1


def _decoded(image: Image.Image, *, upright: bool, convert: Convert = rgb_pixels) -> ByteArray:
    """(H, W, C) uint8; Pillow sets TIFF files upright while it decodes, and no others."""
    orientation, picture = _orientation(image), loaded(image)
    if orientation == 1 or upright == isinstance(image, TiffImageFile):
        return convert(picture, None)
    return convert(picture, upright_turn(orientation) if upright else as_stored(orientation))
