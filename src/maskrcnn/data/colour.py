"""Colour jitter of uint8 RGB images, and what is left of it for images of other channels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from maskrcnn.config.augmentation import Augmentation
from maskrcnn.structures.masks import ByteArray, FloatArray


@dataclass(frozen=True, kw_only=True)
class ColourChange:
    """One drawn change: factors around 1, a shift of the hue in turns of the colour circle, and the negative."""

    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    negative: bool = False


def draw_colour_change(augmentation: Augmentation, generator: np.random.Generator) -> ColourChange:
    """Draw factors evenly from 1 - s to 1 + s for a strength s, the hue shift from -hue to hue.

    With the probabilities `grey` and `negative`, the image becomes grey and its own negative.
    """
    draws = generator.uniform(-1.0, 1.0, size=4)
    becomes_grey, becomes_negative = generator.random(2) < (augmentation.grey, augmentation.negative)
    return ColourChange(
        brightness=1.0 + augmentation.brightness * float(draws[0]),
        contrast=1.0 + augmentation.contrast * float(draws[1]),
        saturation=0.0 if becomes_grey else 1.0 + augmentation.saturation * float(draws[2]),
        hue=augmentation.hue * float(draws[3]),
        negative=bool(becomes_negative),
    )


def change_colours(image: ByteArray, change: ColourChange) -> ByteArray:
    """An (H, W, 3) uint8 RGB image, changed; the image itself where nothing changes.

    Every part is an affine map of the three colour values, so the whole is one as well and rounds and saturates once:
    v -> contrast x (brightness x hue(saturation(v)) - m) + m, with m the brightened image's mean grey; 255 minus that
    for the negative.
    """
    if change == ColourChange():
        return image
    gain = change.contrast * change.brightness
    matrix = gain * _hue_matrix(change.hue) @ _saturation_matrix(change.saturation)
    mean_grey = _GREY @ np.array(cv2.mean(image)[:3]) * change.brightness
    offset = np.full((3, 1), (1.0 - change.contrast) * mean_grey)
    if change.negative:
        matrix, offset = -matrix, 255 - offset
    return np.asarray(cv2.transform(image, np.hstack([matrix, offset])), dtype=np.uint8)


def change_channels(image: ByteArray, change: ColourChange) -> ByteArray:
    """An (H, W, C) uint8 image of channels that are no colours, changed; the image itself where nothing changes.

    Each channel by itself, v -> contrast x (brightness x v - m) + m, with m its brightened mean; 255 minus that for the
    negative. Saturation and hue have no meaning here.
    """
    gain = change.contrast * change.brightness
    if gain == 1 and change.contrast == 1 and not change.negative:
        return image
    means = image.mean(axis=(0, 1), dtype=np.float64) * change.brightness
    table = np.arange(256)[:, None] * gain + (1.0 - change.contrast) * means
    table = np.rint(np.clip(255 - table if change.negative else table, 0, 255)).astype(np.uint8)
    return np.asarray(table[image, np.arange(image.shape[2])], dtype=np.uint8)


def _saturation_matrix(factor: float) -> FloatArray:
    """Away from each pixel's own grey."""
    return factor * np.eye(3) + (1.0 - factor) * np.outer(np.ones(3), _GREY)


def _hue_matrix(turns: float) -> FloatArray:
    """Turn the two colour axes of YIQ and leave the grey as it is."""
    cos, sin = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cos, sin], [0.0, -sin, cos]])
    return np.asarray(np.linalg.inv(_YIQ) @ turn @ _YIQ)


_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""RGB -> YIQ, the axes of NTSC television: grey, and two of colour."""

_GREY = _YIQ[0]
