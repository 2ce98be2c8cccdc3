"""Arrays as images: those in memory, and those that `numpy.save` wrote. Nothing in a file is ever unpickled.

One of three channels is RGB as a file of these values is read. Of other channels an array is (H, W, C), (C, H, W) or
(H, W) for one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from mmap import ACCESS_READ, mmap
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrcnn.data.pixels import channel_bytes, colour_bytes, rgb_pixels
from maskrcnn.errors import UserError
from maskrcnn.structures.masks import ByteArray
from maskrcnn.text import brief, one_line

NPY = b"\x93NUMPY"
"""The first bytes of a `.npy` file."""

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_COLOURS = (1, 3, 4)
"""Channels of grey, RGB and RGBA. Two are as often two stains as grey and its opacity, so that nobody guesses."""

_NUMBERS = "buif"
"""NumPy's letters of truth values, whole numbers and floats."""

Numbers = npt.NDArray[Any]


def stored_array(stream: BinaryIO) -> Numbers:
    """The array behind an open `.npy` file, mapped into memory; of a stream without a file, over its bytes.

    Raises:
        UserError: without the name of the file: no array of numbers, more or less than two or three axes, or more
            numbers than the file has.
    """
    try:
        shape, fortran_order, kind = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except KeyError:
        raise UserError("expected an array of version 1 or 2 of NumPy's format; save it again") from None
    except Exception as error:  # a broken header can go wrong anywhere
        reason = one_line(str(error) or type(error).__name__)
        raise UserError(f"expected an array as numpy.save writes it ({reason}); save it again") from None
    if kind.kind not in _NUMBERS:
        raise UserError(f"expected an array of numbers, got {brief(kind)}; convert it, then save it again")
    if len(shape) not in (2, 3):
        raise UserError(f"expected an array of numbers (H, W, C) or (H, W), got the shape {brief(shape)}")
    start = stream.tell()
    present = stream.seek(0, os.SEEK_END) - start
    claimed = math.prod(shape) * kind.itemsize
    if min(shape) < 1 or claimed > present:
        raise UserError(
            f"an array of shape {brief(shape)} takes {claimed} bytes, the file has {present}; it is empty or cut "
            "short, replace it"
        )
    return np.ndarray(shape, kind, _content(stream), start, order="F" if fortran_order else "C")


def _content(stream: BinaryIO) -> mmap | bytes:
    try:
        return mmap(stream.fileno(), 0, access=ACCESS_READ)
    except OSError:  # in memory
        stream.seek(0)
        return stream.read()


def as_channels_last(array: Numbers, counts: Collection[int]) -> Numbers:
    """A view (H, W, C) of an array of channels.

    Args:
        array: (H, W, C), (C, H, W), or (H, W) of one channel.
        counts: the C that are expected; where neither the last nor the first axis has such a length, the shorter one of
            the two is taken for the channels.

    Raises:
        UserError: neither two nor three axes, or no numbers.
    """
    if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in _NUMBERS:
        raise UserError(
            f"expected an array of numbers (H, W, C) or (C, H, W), got {array.dtype} of shape {array.shape}"
        )
    if array.ndim == 2:
        return array[:, :, None]
    first, _, last = array.shape
    is_first = first in counts if (first in counts) != (last in counts) else last not in counts and first < last
    return np.moveaxis(array, 0, 2) if is_first else array


def channels_as_bytes(array: Numbers) -> ByteArray:
    """(H, W, C) numbers as uint8, each channel by itself (`pixels.channel_bytes`); contiguous."""
    pixels = np.empty(array.shape, np.uint8)
    for channel in range(array.shape[2]):
        pixels[:, :, channel] = channel_bytes(np.asarray(array[:, :, channel]))
    return pixels


def is_rgb_array(array: Numbers) -> bool:
    """Whether `array_pixels` takes values of this type."""
    return array.dtype.newbyteorder("=") in (np.uint8, np.uint16, bool)


def array_pixels(array: Numbers) -> ByteArray:
    """The (H, W, 3) uint8 RGB pixels of an array in memory, as a file with the same content is read.

    Raises:
        UserError: another shape than (H, W), (H, W, 3) or (H, W, 4), or other values than uint8, uint16 and bool.
    """
    array = _check_array(array)
    if array.dtype == bool:
        array = array * np.uint8(255)
    if array.ndim == 3 and array.dtype != np.uint8:  # 16 bits per colour
        array = colour_bytes(array)
    if array.ndim == 3 and array.shape[2] == 3:
        return np.ascontiguousarray(array)
    return rgb_pixels(Image.fromarray(array))


def _check_array(array: Numbers) -> Numbers:
    """An (H, W), (H, W, 3) or (H, W, 4) array of uint8, uint16 or bool."""
    if array.ndim == 3 and array.shape[0] in _COLOURS and array.shape[2] not in _COLOURS:
        raise UserError(
            f"image array: expected shape (H, W, 3) in RGB, got {array.shape}; "
            "put the channels last: array.transpose(1, 2, 0)"
        )
    if array.ndim == 4:
        raise UserError(f"image array: expected one image, (H, W, 3), got {array.shape}; give a list: list(array)")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _COLOURS) or 0 in array.shape:
        raise UserError(f"image array: expected shape (H, W, 3) in RGB, (H, W, 4) or (H, W) in grey, got {array.shape}")
    if array.dtype.kind == "f":
        raise UserError(
            f"image array: expected uint8 values 0 to 255, got {array.dtype}; "
            "for values from 0 to 1: (array * 255).round().astype(np.uint8)"
        )
    if not is_rgb_array(array):
        raise UserError(
            f"image array: expected uint8, uint16 or bool values, got {array.dtype}; "
            "for values from 0 to 255: array.astype(np.uint8)"
        )
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return native[:, :, 0] if native.ndim == 3 and native.shape[2] == 1 else native
