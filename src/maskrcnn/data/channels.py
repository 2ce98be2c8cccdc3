"""How many channels images have, and which of them are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from maskrcnn.data.pixels import stretch_limits
from maskrcnn.errors import UserError
from maskrcnn.structures.masks import ByteArray


class ChannelSettings(Protocol):
    """What is read of `config.InputConfig`."""

    @property
    def channels(self) -> int:
        """C."""

    @property
    def rgb(self) -> bool:
        """Whether three are red, green and blue."""

    @property
    def drawn_channels(self) -> tuple[int, ...]:
        """Three, or none."""


@dataclass(frozen=True)
class Channels:
    """The channels of a data set's or a model's images.

    Attributes:
        count: C; 0: any number.
        rgb: whether they are red, green and blue, which files of any kind become; never with other numbers than three.
        drawn: the three channels that are red, green and blue in pictures, from 0; the last one for those that are not
            there.
    """

    count: int = 3
    rgb: bool = True
    drawn: tuple[int, int, int] = (0, 1, 2)

    @classmethod
    def of(cls, settings: ChannelSettings) -> Channels:
        """What the settings say."""
        first, second, third = settings.drawn_channels or (0, 1, 2)
        return cls(settings.channels, settings.rgb and settings.channels == 3, (first, second, third))

    def picture(self, pixels: ByteArray) -> ByteArray:
        """(H, W, 3) uint8 for the eye, of (H, W, C) pixels.

        RGB is drawn as it is. Of other channels each is stretched so that its `stretch_limits` become 0 and 255; one
        of a single value is black.
        """
        if self.rgb and self.drawn == (0, 1, 2) and pixels.shape[2] == 3:
            return pixels
        places = (min(place, pixels.shape[2] - 1) for place in self.drawn)
        return np.stack([_stretched(pixels[:, :, place]) for place in places], axis=2)

    def require(self, count: int) -> None:
        """A `UserError`, without the name of the file, where an image has another number of channels."""
        if count != self.count != 0:
            raise UserError(
                f"expected {self.count} channel(s) (input.channels), got {count}; correct the file, or train with "
                f"--set input.channels={count}"
            )


RGB = Channels()
ANY = Channels(0, rgb=False)
"""As many as there are."""
UNKNOWN = Channels(0)
"""RGB where that can be read, else as many as there are: for those who only look."""


def _stretched(channel: ByteArray) -> ByteArray:
    low, high = stretch_limits(channel.copy())
    if low == high:
        return np.zeros_like(channel)
    table = (np.arange(256) - low) * (255.0 / (high - low))
    drawn: ByteArray = np.rint(np.clip(table, 0, 255)).astype(np.uint8)[channel]
    return drawn
