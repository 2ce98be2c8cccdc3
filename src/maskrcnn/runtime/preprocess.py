"""From pictures to the graph's input, in NumPy: what `models.preprocess` does in PyTorch, with the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.config import InputConfig
from maskrcnn.errors import UserError
from maskrcnn.ops.resize import resized_size
from maskrcnn.runtime.resize import resize
from maskrcnn.structures import Size
from maskrcnn.structures.masks import ByteArray, Float32Array
from maskrcnn.structures.size import padded_size

Pixels = ByteArray | Float32Array
"""(h, w, C): bytes, or float32 in [0, 1]."""


@dataclass(frozen=True)
class Batch:
    """N normalised images in the `input` frame.

    Attributes:
        pixels: (N, C, H, W) float32, padded right and bottom with zeros.
        sizes: (height, width) of each image before padding, in the `input` frame.
        original_sizes: (height, width) of each image in the `original` frame.
    """

    pixels: Float32Array
    sizes: tuple[Size, ...]
    original_sizes: tuple[Size, ...]

    def to_original(self, image: int) -> Float32Array:
        """(2,) what x and y of an image in the `input` frame are multiplied with for the `original` frame."""
        (height, width), original = self.sizes[image], self.original_sizes[image]
        return np.array([original[1] / width, original[0] / height], np.float32)


@dataclass(frozen=True)
class Preprocess:
    """Resizes, normalises and pads.

    Attributes:
        settings: how.
    """

    settings: InputConfig

    def input_size(self, image: Pixels) -> Size:
        """(height, width) of an image in the `input` frame."""
        settings = self.settings
        nearest = settings.rounding == "nearest"
        return resized_size(_size(image), settings.min_size, settings.max_size, settings.shrink, nearest)

    def padded_size(self, image: Pixels) -> Size:
        """The same with the padding that an image gets for itself alone."""
        return padded_size([self.input_size(image)], self.settings.size_divisor)

    def prepare(self, images: Sequence[Pixels]) -> Batch:
        """Resize, normalise and pad images of the `original` frame.

        Raises:
            UserError: images with another number of channels.
        """
        resized = [self._normalised(image) for image in images]
        sizes = [_size(image) for image in resized]
        height, width = padded_size(sizes, self.settings.size_divisor)
        pixels = np.zeros((len(images), self.settings.channels, height, width), np.float32)
        for slot, image, (h, w) in zip(pixels, resized, sizes, strict=True):
            slot[:, :h, :w] = image.transpose(2, 0, 1)
        return Batch(pixels, tuple(sizes), tuple(map(_size, images)))

    def _normalised(self, image: Pixels) -> Float32Array:
        settings = self.settings
        if image.shape[2] != settings.channels:
            raise UserError(f"image: expected {settings.channels} channel(s) (input.channels), got {image.shape[2]}")
        values: Any = image.astype(np.float32)
        if image.dtype == np.uint8:
            values /= np.float32(255)
        values = resize(values, self.input_size(image), settings.antialias)
        flat = values.reshape(values.shape[0], -1)  # long rows, which NumPy is fast at
        flat = flat - np.tile(np.array(settings.mean, np.float32), values.shape[1])
        flat /= np.tile(np.array(settings.std, np.float32), values.shape[1])
        normalised: Float32Array = flat.reshape(values.shape)
        return normalised


def _size(image: Pixels) -> Size:
    return int(image.shape[0]), int(image.shape[1])
