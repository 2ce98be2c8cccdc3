"""Masks that come as pictures: from files and from base64 text to run lengths, exactly."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.data.images import MAX_PIXELS, is_jpeg, read_values, read_values_of
from maskrcnn.errors import UserError
from maskrcnn.masks.bands import encode_in_bands
from maskrcnn.masks.polygons import polygon_to_rle, polygon_window, rasterize_polygons
from maskrcnn.masks.rle import Window, rle_window
from maskrcnn.masks.rle_crops import crop_rle, encode_rle_crop
from maskrcnn.structures import RLE, Polygons, Size
from maskrcnn.structures.masks import BoolArray, ByteArray, IntArray

MAX_BASE64 = 64 * 2**20
"""Characters of one mask in a label file."""

Values = npt.NDArray[Any]

Part = tuple[Sequence[float], Sequence[Sequence[float]]]
"""An outline x1, y1, x2, y2, ... and its holes."""


def colours_as_numbers(values: Values) -> IntArray:
    """(H, W) numbers that tell pixels apart: values and indices as they are, colours as R 256^2 + G 256 + B.

    Where alpha is zero the number is 0, whatever the colour below.
    """
    if values.ndim == 2:
        return values.astype(np.int64)
    if values.shape[2] == 2:  # grey and alpha
        return np.where(values[..., 1] > 0, values[..., 0], 0).astype(np.int64)
    red, green, blue = (values[..., channel].astype(np.int64) for channel in range(3))
    number = (red << 16) + (green << 8) + blue
    return np.where(values[..., 3] > 0, number, 0) if values.shape[2] == 4 else number


def foreground(values: Values) -> BoolArray:
    """Which pixels of a mask picture belong to the object: those that are not zero, or not transparent.

    Alpha tells them where it differs between pixels; a picture may also be opaque throughout.
    """
    if values.ndim == 3 and values.shape[2] in (2, 4) and values.size and np.ptp(values[..., -1]) > 0:
        return np.asarray(values[..., -1] > 0)
    return np.asarray(colours_as_numbers(values) != 0)


def read_foreground(path: Path) -> BoolArray:
    """The same of a file; of a JPEG, which smears, the pixels that are lighter than half of its lightest one.

    Raises:
        UserError: as `read_values`.
    """
    values = read_values(path)
    if not is_jpeg(path):
        return foreground(values)
    light = values if values.ndim == 2 else values.max(axis=2)
    return np.asarray(light > light.max(initial=0) / 2)


def decode_base64(text: Any, expected: str) -> bytes:
    """The bytes behind base64 text of bearable length.

    Raises:
        UserError: not text, too long, or no base64.
    """
    if not isinstance(text, str) or len(text) > MAX_BASE64:
        raise UserError(f"expected {expected} as base64 text of at most {MAX_BASE64} characters")
    try:
        return base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text)
    except (binascii.Error, ValueError):
        raise UserError(f"expected {expected} as base64 text, got something else") from None


def decode_picture(content: bytes, where: str, max_pixels: int = MAX_PIXELS) -> Values:
    """The values of a picture inside a label file. Raises `UserError` as `read_values` does."""
    return read_values_of(BytesIO(content), where, max_pixels)


def rle_at(bitmap: BoolArray, x: int, y: int, size: Size) -> RLE | None:
    """A bitmap whose corner lies at (x, y) of a frame of `size`, cut at its borders; None when nothing is left."""
    height, width = bitmap.shape
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + width, size[1]), min(y + height, size[0])
    if x1 >= x2 or y1 >= y2:
        return None
    crop = bitmap[y1 - y : y2 - y, x1 - x : x2 - x]
    return encode_rle_crop(crop.astype(np.uint8), (x1, y1, x2, y2), size)


def with_holes(parts: Sequence[Part], size: Size) -> RLE:
    """Parts with their holes, united: a part may lie in the hole of another."""

    def draw(window: Window) -> ByteArray:
        pixels = np.zeros((window[3] - window[1], window[2] - window[0]), np.bool_)
        for ring, holes in parts:
            outer = rasterize_polygons(_polygons([ring]), window, size).astype(np.bool_)
            pixels |= outer & ~rasterize_polygons(_polygons(holes), window, size).astype(np.bool_) if holes else outer
        return pixels.view(np.uint8)

    return encode_in_bands(draw, polygon_window(_polygons([ring for ring, _ in parts]), size), size)


def _polygons(rings: Sequence[Sequence[float]]) -> Polygons:
    return Polygons(tuple(np.array(ring, dtype=np.float64).reshape(-1, 2) for ring in rings))


def union(masks: Sequence[RLE], rings: Sequence[Sequence[float]], size: Size) -> RLE:
    """Run lengths and polygons of one object, united."""
    drawn = [*masks, *([polygon_to_rle(_polygons(rings), size)] if rings else [])]
    if len(drawn) == 1:
        return drawn[0]
    windows = np.array([window for mask in drawn if (window := rle_window(mask))[2]]).reshape(-1, 4)
    if not len(windows):
        return drawn[0]
    (x1, y1), (x2, y2) = windows[:, :2].min(axis=0).tolist(), windows[:, 2:].max(axis=0).tolist()
    return encode_in_bands(
        lambda window: np.bitwise_or.reduce([crop_rle(mask, window) for mask in drawn]), (x1, y1, x2, y2), size
    )
