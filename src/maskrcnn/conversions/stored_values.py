"""The numbers of an image as they are stored: what is measured, where the network sees them stretched to bytes."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from maskrcnn.data.arrays import Numbers, as_channels_last
from maskrcnn.data.channel_files import read_stored, read_stored_of
from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.images import decoded_image
from maskrcnn.data.pixels import band_pixels, rgb_pixels, stays_in_bytes, unstretched
from maskrcnn.sources import Source, source_pixels, source_values


def stored_values(source: Source, channels: Channels = RGB) -> Numbers:
    """(H, W, C) numbers of an image, upright; not to be written to.

    Of no more than 8 bits: uint8, as `source_pixels` gives them. Of more: as they are stored, one channel of grey, but
    colours with transparency and those that Pillow decodes keep their high byte alone.

    Raises:
        UserError: as `source_pixels`.
    """
    if isinstance(source, np.ndarray):
        return _array_values(source, channels)
    if isinstance(source, Image.Image):
        return decoded_image(source, unstretched(rgb_pixels if channels.rgb else band_pixels))
    if isinstance(source, str | os.PathLike):
        return read_stored(source, channels)
    if isinstance(source, bytes | bytearray | memoryview):
        return read_stored_of(bytes(source), "image bytes", channels)
    return source_values(source, channels)


def _array_values(array: Numbers, channels: Channels) -> Numbers:
    if stays_in_bytes(array.dtype):
        return source_pixels(array, channels)
    if not channels.rgb:
        return as_channels_last(array, (channels.count,))
    if array.dtype.kind != "u" or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        return source_pixels(array, channels)
    return array.reshape(*array.shape[:2], -1)
