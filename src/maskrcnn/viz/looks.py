"""How one object is drawn where the picture says more of it than its class: colour, dashes, no fill, a sign."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

from maskrcnn.structures.masks import FloatArray, IntArray
from maskrcnn.viz.colours import Colour

DASH = 0.5
"""The drawn share of a dash and the gap behind it."""

_POINTS = np.linspace(0, DASH, 8)
"""Of one dash, so that it follows its curve."""

FEWEST_DASHES = 4


class Sign(Enum):
    """What stands in the middle of an object."""

    NONE = auto()
    CROSS = auto()
    BARS = auto()


@dataclass(frozen=True)
class Look:
    """How one object is drawn.

    Attributes:
        colour: of its lines and its fill.
        dashed: whether its outline has gaps.
        filled: whether its inside is tinted, where the picture tints objects at all.
        sign: what stands in its middle.
        word: put before the text of its label.
    """

    colour: Colour
    dashed: bool = False
    filled: bool = True
    sign: Sign = Sign.NONE
    word: str = ""


def dashes(contour: npt.NDArray[np.integer], length: float) -> list[IntArray]:
    """A closed line of (n, 1, 2) points cut into dashes of (8, 1, 2); a dash and its gap are about `length` long."""
    points = np.concatenate([contour, contour[:1]])[:, 0].astype(np.float64)
    places = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    number = max(round(places[-1] / length), FEWEST_DASHES)
    at = (np.arange(number)[:, None] + _POINTS) * (places[-1] / number)
    lines = np.stack([np.interp(at, places, points[:, axis]) for axis in (0, 1)], axis=2)
    return [line[:, None] for line in np.rint(lines).astype(np.int32)]


def sign_lines(sign: Sign, box: tuple[float, float, float, float], reach: int) -> list[FloatArray]:
    """The strokes (2, 2) of a sign in the middle of a box, `reach` pixels to each side, less in a small box."""
    x1, y1, x2, y2 = box
    arm = min(reach, max(min(x2 - x1, y2 - y1) / 4, 2.0))
    strokes: dict[Sign, list[list[tuple[float, float]]]] = {
        Sign.NONE: [],
        Sign.CROSS: [[(-1, -1), (1, 1)], [(-1, 1), (1, -1)]],
        Sign.BARS: [[(-1, -0.5), (1, -0.5)], [(-1, 0.5), (1, 0.5)]],
    }
    middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    return [middle + arm * np.array(stroke) for stroke in strokes[sign]]
