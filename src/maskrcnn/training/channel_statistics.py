"""Mean and spread of each channel of the training images, where the settings leave them open.

As training reads them: bytes, before any augmentation, at their own sizes. Counted exactly, so that every rank and
every resumed run comes to the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from maskrcnn.config import Config
from maskrcnn.data.dataset import CocoDataset
from maskrcnn.structures.masks import FloatArray

IMAGES = 200
"""Spread evenly over the training images; more tell little more."""

_LEAST_STD = 1 / 255
"""Of a channel of a single value."""
_DIGITS = 6


def with_measured_channels(config: Config, dataset: CocoDataset, say: Callable[[str], object]) -> Config:
    """`config` with `input.mean` and `input.std`, measured if they are empty; `say` gets a line then.

    Raises:
        UserError: an image cannot be read.
    """
    if config.input.mean:
        return config
    numbers = np.unique(np.linspace(0, len(dataset) - 1, min(IMAGES, len(dataset))).round().astype(int)).tolist()
    mean, std = channel_statistics(dataset, numbers)
    rounded = [tuple(round(float(value), _DIGITS) for value in values) for values in (mean, std)]
    say(f"input.mean, input.std: measured on {len(numbers)} training image(s), {config.input.channels} channel(s)")
    return replace(config, input=replace(config.input, mean=rounded[0], std=rounded[1]))


def channel_statistics(dataset: CocoDataset, numbers: list[int]) -> tuple[FloatArray, FloatArray]:
    """(C,) mean and standard deviation of all pixels of these images, in [0, 1]."""
    counts = np.zeros((dataset.channels.count, 256), np.int64)
    for number in numbers:
        pixels = dataset.pixels(number)
        for channel, own in enumerate(counts):
            own += np.bincount(pixels[:, :, channel].ravel(), minlength=256)
    values, shares = np.arange(256) / 255, counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ values
    spread = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
    return mean, np.maximum(spread, _LEAST_STD)
