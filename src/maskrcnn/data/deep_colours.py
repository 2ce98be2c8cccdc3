"""Pictures of 16 bits per colour: Pillow keeps the high byte, which is next to nothing of a scene of 12 bits."""

from __future__ import annotations

import re
import sys
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

from maskrcnn.data.decoding_cost import require_free
from maskrcnn.data.pixels import DARK, colour_bytes

_DEEP = re.compile(r"(RGB|RGBX|RGBA);16([BLN])")
"""How the decoder is told where the two bytes of each colour stand: big-endian, little-endian, as the machine does."""

_SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

_COST = 32
"""Bytes a pixel while one is stretched: two decoded pictures, the numbers, their percentiles and the result."""


def loaded(image: Image.Image) -> Image.Image:
    """A picture, decoded; one of 16 bits per colour with dark colours alone as `colour_bytes` reads it.

    A picture that was decoded before has lost the low bytes and stays as it is.
    """
    if not isinstance(image, ImageFile) or not _is_deep(image):
        image.load()
        return image
    stream = image.fp
    image.load()
    if stream is None or stream.closed or np.max(image.getextrema()[:3]) >= DARK >> 8:
        return image
    require_free(_COST * image.width * image.height, image.size)
    return Image.fromarray(colour_bytes(_numbers(image, stream)))


def _is_deep(image: ImageFile) -> bool:
    """Whether there are bytes to be had; a colour that stands for transparency means nothing when it is stretched."""
    kinds = [_rawmode(tile.args) for tile in image.tile]
    return bool(kinds) and all(map(_DEEP.fullmatch, kinds)) and "transparency" not in image.info


def _numbers(high: ImageFile, stream: IO[bytes]) -> npt.NDArray[np.uint16]:
    """(H, W, C): decoded once more, with the two bytes in the other order, the file gives the low ones."""
    stream.seek(0)
    low = type(high)(stream)
    low.tile = [tile._replace(args=_swapped(tile.args)) for tile in low.tile]
    low.load()
    numbers = np.asarray(high).astype(np.uint16)
    numbers <<= 8
    numbers |= np.asarray(low)
    return numbers


def _rawmode(arguments: Any) -> str:
    """Of a decoder's arguments: text, or the first of several."""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _swapped(arguments: Any) -> Any:
    mode = _DEEP.sub(lambda found: f"{found[1]};16{_SWAPPED[found[2]]}", _rawmode(arguments))
    return (mode, *arguments[1:]) if isinstance(arguments, tuple) else mode
