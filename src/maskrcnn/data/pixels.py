"""A Pillow image of any mode as RGB, by the rules at the top of `images.py`.

Strip by strip: whole pictures exist only as Pillow decodes them and as the result.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrcnn.structures.masks import ByteArray

STRETCH_PERCENTILES = (0.1, 99.9)

_STRIP = 1 << 20
"""Pixels that are converted at a time."""

_Numbers = npt.NDArray[np.generic]


def rgb_pixels(image: Image.Image, turn: Image.Transpose | None = None) -> ByteArray:
    """(H, W, 3) uint8 RGB, contiguous, turned or mirrored by `turn`."""
    stretch = _Stretch(image) if is_stretched(image.mode) else None
    width, height = image.size
    swapped = turn in _SWAPPING
    pixels = np.empty((width, height, 3) if swapped else (height, width, 3), np.uint8)
    as_stored = pixels if turn is None else _AS_STORED[turn](pixels)
    for top, strip in _strips(image):
        rgb = _to_rgb(strip) if stretch is None else stretch(np.asarray(strip))[:, :, None]
        as_stored[top : top + strip.height] = rgb
    return pixels


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


class _Stretch:
    """Numbers of any kind -> bytes: linearly, so that the percentiles of the whole picture become 0 and 255.

    What is not finite becomes black, and so does a picture of a single value.
    """

    def __init__(self, image: Image.Image) -> None:
        numbers, count = np.empty(image.width * image.height, np.float32), 0
        for _, strip in _strips(image):
            values = np.asarray(strip).ravel()
            if values.dtype.kind == "f":
                values = values[np.isfinite(values)]
            numbers[count : count + len(values)] = values
            count += len(values)
        self.low = self.high = np.float64(0)
        if count:
            self.low, self.high = np.percentile(numbers[:count], STRETCH_PERCENTILES, overwrite_input=True)

    def __call__(self, values: _Numbers) -> ByteArray:
        if self.low == self.high:
            return np.zeros(values.shape, np.uint8)
        numbers: npt.NDArray[np.floating] = values.astype(np.float32)
        if values.dtype.kind == "f":
            numbers = np.where(np.isfinite(numbers), numbers, self.low)
        scaled = (numbers - self.low) * (255.0 / (self.high - self.low))
        return np.asarray(np.rint(np.clip(scaled, 0, 255)), dtype=np.uint8)
