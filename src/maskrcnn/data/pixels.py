"""A Pillow image of any mode as RGB, by the rules at the top of `images.py`, or as its own channels.

Strip by strip: whole pictures exist only as Pillow decodes them and as the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrcnn.structures.masks import ByteArray

STRETCH_PERCENTILES = (0.1, 99.9)

DARK = 1 << 14
"""Colours of 16 bits that all stay below this are stretched: cameras of 10 to 14 bits leave the upper ones empty."""

_STRIP = 1 << 20
"""Pixels that are converted at a time."""

_Numbers = npt.NDArray[np.generic]

Convert = Callable[[Image.Image, Image.Transpose | None], npt.NDArray[Any]]
"""A decoded picture and how it is to be turned -> (H, W, C) uint8; of an `unstretched` rule, other numbers too."""


def rgb_pixels(image: Image.Image, turn: Image.Transpose | None = None) -> ByteArray:
    """(H, W, 3) uint8 RGB, contiguous, turned or mirrored by `turn`."""
    return _converted(image, turn, 3, _to_rgb)


def band_pixels(image: Image.Image, turn: Image.Transpose | None = None) -> ByteArray:
    """(H, W, C) uint8, its own channels as they are: grey is one, transparency one more; a palette gives colours."""
    return _converted(image, turn, num_bands(image), _to_bands)


def unstretched(convert: Convert) -> Convert:
    """The same rule, but what it would stretch stays (H, W, 1) as it is stored."""

    def converted(image: Image.Image, turn: Image.Transpose | None) -> npt.NDArray[Any]:
        if is_stretched(image.mode):
            return turned_array(np.asarray(image)[:, :, None], turn)
        return convert(image, turn)

    return converted


def num_bands(image: Image.Image) -> int:
    """C of `band_pixels`, before the picture is decoded."""
    return 1 if is_stretched(image.mode) else len(_plain_mode(image))  # a letter for each: L, LA, RGB, RGBA, CMYK


def turned_array(stored: npt.NDArray[Any], turn: Image.Transpose | None) -> npt.NDArray[Any]:
    """(H, W, C) numbers as stored, turned or mirrored; contiguous."""
    if turn is None:
        return stored
    height, width, channels = stored.shape
    pixels = np.empty((width, height, channels) if turn in _SWAPPING else stored.shape, stored.dtype)
    _AS_STORED[turn](pixels)[:] = stored
    return pixels


def channel_bytes(values: npt.NDArray[Any]) -> ByteArray:
    """(H, W) numbers of one channel, or (H, W, C) of several by one rule, as bytes.

    Bytes stay, True is 255, all others are stretched as 16-bit grey is.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values * np.uint8(255)
    rows = max(1, _STRIP // values.shape[1])
    strips = [values[top : top + rows] for top in range(0, values.shape[0], rows)]
    stretch = _Stretch(strips, values.size)
    return np.concatenate([stretch(strip) for strip in strips])


def colour_bytes(values: npt.NDArray[np.uint16]) -> ByteArray:
    """(H, W, C) of 16 bits as bytes: the high ones; three colours below `DARK` are stretched together, as grey is."""
    pixels = (values >> 8).astype(np.uint8)
    if values.shape[2] > 2 and values[:, :, :3].max() < DARK:
        pixels[:, :, :3] = channel_bytes(values[:, :, :3])
    return pixels


def stretch_limits(values: npt.NDArray[Any]) -> tuple[np.floating, np.floating]:
    """The numbers that become 0 and 255: the percentiles, or both ends where few pixels differ from all others.

    Args:
        values: finite, in any shape; they change places. None at all: 0 and 0.
    """
    if not values.size:
        return np.float64(0), np.float64(0)
    low, high = np.percentile(values, STRETCH_PERCENTILES, overwrite_input=True)
    return (low, high) if low < high else (np.float64(values.min()), np.float64(values.max()))


def _converted(image: Image.Image, turn: Image.Transpose | None, channels: int, convert: _ToBytes) -> ByteArray:
    stretch = _stretch_of(image) if is_stretched(image.mode) else None
    width, height = image.size
    swapped = turn in _SWAPPING
    pixels = np.empty((width, height, channels) if swapped else (height, width, channels), np.uint8)
    as_stored = pixels if turn is None else _AS_STORED[turn](pixels)
    for top, strip in _strips(image):
        part = convert(strip) if stretch is None else stretch(np.asarray(strip))[:, :, None]
        as_stored[top : top + strip.height] = part
    return pixels


def stays_in_bytes(kind: np.dtype[Any]) -> bool:
    """Whether numbers of this type become bytes without being stretched."""
    return kind in (np.uint8, bool)


def is_stretched(mode: str) -> bool:
    """Whether the values of pictures of this mode are stretched to bytes: 16 bits, 32-bit integers and floats."""
    return mode.startswith(("I", "F"))


_SWAPPING = {
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
}

_AS_STORED = {
    Image.Transpose.FLIP_LEFT_RIGHT: lambda pixels: pixels[:, ::-1],
    Image.Transpose.FLIP_TOP_BOTTOM: lambda pixels: pixels[::-1],
    Image.Transpose.ROTATE_180: lambda pixels: pixels[::-1, ::-1],
    Image.Transpose.ROTATE_90: lambda pixels: pixels[::-1].swapaxes(0, 1),
    Image.Transpose.ROTATE_270: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
    Image.Transpose.TRANSPOSE: lambda pixels: pixels.swapaxes(0, 1),
    Image.Transpose.TRANSVERSE: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
}
"""A turned picture seen as it was before the turn, without a copy."""


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The rows of a picture, some at a time, each with the number of its first."""
    width, height = image.size
    rows = max(1, _STRIP // width)
    if rows >= height:
        yield 0, image
        return
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _to_rgb(image: Image.Image) -> ByteArray:
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.asarray(image.convert("RGB"))


def _to_bands(image: Image.Image) -> ByteArray:
    pixels = np.asarray(image.convert(_plain_mode(image)))
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def _plain_mode(image: Image.Image) -> str:
    """The mode that has the picture's channels as bytes, or as numbers that are stretched."""
    mode = image.mode
    if is_stretched(mode) or mode in _PLAIN:
        return mode
    if mode in _AS:
        return _AS[mode]
    return "RGBA" if image.has_transparency_data else "RGB"  # a palette, or colours in other coordinates


_PLAIN = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
_AS = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB"}

_ToBytes = Callable[[Image.Image], ByteArray]


def _stretch_of(image: Image.Image) -> _Stretch:
    return _Stretch((np.asarray(strip) for _, strip in _strips(image)), image.width * image.height)


class _Stretch:
    """Numbers of any kind -> bytes: linearly, so that the `stretch_limits` of the whole picture become 0 and 255.

    What is not finite becomes black, and so does a picture of a single value.

    Args:
        strips: the picture, part by part.
        size: how many numbers all parts have.
    """

    def __init__(self, strips: Iterable[_Numbers], size: int) -> None:
        numbers, count = np.empty(size, np.float32), 0
        for strip in strips:
            values = strip.ravel()
            if values.dtype.kind == "f":
                values = values[np.isfinite(values)]
            numbers[count : count + len(values)] = values
            count += len(values)
        self.low, self.high = stretch_limits(numbers[:count])

    def __call__(self, values: _Numbers) -> ByteArray:
        if self.low == self.high:
            return np.zeros(values.shape, np.uint8)
        numbers: npt.NDArray[np.floating] = values.astype(np.float32)
        if values.dtype.kind == "f":
            numbers = np.where(np.isfinite(numbers), numbers, self.low)
        scaled = (numbers - self.low) * (255.0 / (self.high - self.low))
        return np.asarray(np.rint(np.clip(scaled, 0, 255)), dtype=np.uint8)
