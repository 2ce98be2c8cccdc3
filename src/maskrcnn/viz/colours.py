"""Colours: one per class or object, unlike its neighbours, always the same for the same number."""

from __future__ import annotations

import colorsys

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

_GOLDEN_RATIO = 0.618033988749895
"""Steps of this share of the hue circle stay far from all recent hues."""

_TONES = ((0.80, 1.00), (0.60, 1.00), (0.95, 0.90))
"""(saturation, value), taken in turn, so that even like hues differ."""

_MIN_LUMA = 100
"""Pure blues are so dark that a thin line of them is lost: they are mixed with white up to this."""


_FIRST: tuple[Colour, ...] = (
    (60, 165, 255),
    (255, 255, 0),
    (240, 45, 60),
    (60, 135, 75),
    (0, 255, 255),
    (255, 15, 240),
    (180, 135, 0),
    (15, 255, 120),
    (255, 150, 180),
    (90, 90, 225),
    (165, 75, 120),
    (150, 195, 45),
    (255, 165, 120),
    (225, 180, 255),
    (45, 210, 255),
    (0, 195, 150),
    (255, 195, 45),
    (165, 90, 45),
    (210, 240, 150),
    (105, 135, 0),
    (255, 60, 135),
    (180, 120, 195),
    (150, 255, 210),
    (30, 195, 75),
)
"""Each as far from those before it as any can be (by CIE94's difference), among colours neither grey nor dark."""


def instance_colour(index: int) -> Colour:
    """The colour of number `index`, of a class or of an instance."""
    if index < len(_FIRST):
        return _FIRST[index]
    saturation, value = _TONES[index % len(_TONES)]
    red, green, blue = colorsys.hsv_to_rgb((0.57 + index * _GOLDEN_RATIO) % 1.0, saturation, value)
    return _lightened((round(red * 255), round(green * 255), round(blue * 255)))


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever is easier to read on `background`."""
    return (0, 0, 0) if luma(background) > 128 else (255, 255, 255)


def luma(colour: Colour) -> float:
    """How light a colour looks, 0 to 255 (ITU-R BT.601)."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _lightened(colour: Colour) -> Colour:
    white = max((_MIN_LUMA - luma(colour)) / (255 - luma(colour)), 0.0)
    red, green, blue = (round(channel + white * (255 - channel)) for channel in colour)
    return red, green, blue
