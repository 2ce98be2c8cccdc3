"""One object in a picture: the fill, the outline, the box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.colours import Colour
from maskrcnn.viz.labels import Box
from maskrcnn.viz.looks import Look, Sign, dashes, sign_lines

HALO = (0, 0, 0)
"""On a bright image, under each line and a pixel wider on both sides: all colours stand off the dark."""

SMOOTHING = 0.9
"""Pixels by which an outline may leave the steps of its bitmap."""

DASH_WIDTHS, SIGN_WIDTHS = 9, 6
"""How long a dash with its gap is, and how far a sign reaches, in widths of the line."""

SIGN_COLOUR = (255, 255, 255)


@dataclass(frozen=True)
class Line:
    """How lines are drawn: width in pixels, and whether with a halo."""

    width: int
    halo: bool

    def strokes(self, colour: Colour) -> list[tuple[Colour, int]]:
        """Colours and widths, one over the other."""
        return [*([(HALO, self.width + 2)] if self.halo else []), (colour, self.width)]


@dataclass(frozen=True)
class Shape:
    """One object in the picture. Its bitmap is made anew for every use: those of all objects may take gigabytes.

    Attributes:
        index: of the object.
        bitmap: makes the bitmap of 0 and 1.
        window: x1, y1, x2, y2 of the bitmap in the picture.
        box: x1, y1, x2, y2 of the object in the picture.
        look: how to draw it.
    """

    index: int
    bitmap: Callable[[], ByteArray]
    window: tuple[int, int, int, int]
    box: Box
    look: Look

    @property
    def colour(self) -> Colour:
        """To draw it in."""
        return self.look.colour

    @property
    def area(self) -> int:
        """Of the window."""
        x1, y1, x2, y2 = self.window
        return (x2 - x1) * (y2 - y1)


def fill(picture: ByteArray, shape: Shape, bitmap: ByteArray, share: float) -> None:
    """Blend the colour into the object's pixels, in place."""
    import cv2

    if share == 0 or shape.area == 0 or not shape.look.filled:
        return
    x1, y1, x2, y2 = shape.window
    region = picture[y1:y2, x1:x2]
    cv2.copyTo(cv2.LUT(region, _blends(shape.colour, share)), bitmap, region)


@lru_cache(maxsize=64)
def _blends(colour: Colour, share: float) -> ByteArray:
    """(1, 256, 3) what each value of a channel becomes."""
    blends = np.arange(256)[None, :, None] * (1 - share) + np.array(colour) * share
    return np.rint(blends).astype(np.uint8)


def outline(picture: ByteArray, shape: Shape, bitmap: ByteArray, line: Line) -> bool:
    """Draw along the object's border and those of its holes, in place; False where it has no mask."""
    import cv2

    contours, _ = cv2.findContours(bitmap, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=shape.window[:2])
    smooth = [cv2.approxPolyDP(contour, SMOOTHING, True) if len(contour) > 8 else contour for contour in contours]
    _closed_lines(picture, smooth, shape.look, line)
    return bool(smooth)


def box(picture: ByteArray, shape: Shape, line: Line) -> None:
    """Draw around the object's box, in place."""
    import cv2

    limit = max(picture.shape)
    x1, y1, x2, y2 = (round(min(max(edge, -limit), 2 * limit)) for edge in shape.box)
    if shape.look.dashed:
        _closed_lines(picture, [np.array([[[x1, y1]], [[x2, y1]], [[x2, y2]], [[x1, y2]]])], shape.look, line)
        return
    for colour, thickness in line.strokes(shape.colour):
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, thickness, cv2.LINE_AA)


def sign(picture: ByteArray, shape: Shape, line: Line) -> None:
    """Draw the sign in the object's middle, if it has one, in place."""
    import cv2

    if shape.look.sign is Sign.NONE:
        return
    strokes = [
        np.rint(ends).astype(np.int32) for ends in sign_lines(shape.look.sign, shape.box, SIGN_WIDTHS * line.width)
    ]
    for colour, thickness in Line(line.width, halo=True).strokes(SIGN_COLOUR):
        cv2.polylines(picture, strokes, False, colour, thickness, cv2.LINE_AA)


def _closed_lines(picture: ByteArray, contours: Sequence[npt.NDArray[np.integer]], look: Look, line: Line) -> None:
    """Draw along contours (n, 1, 2), in place."""
    import cv2

    pieces = (
        [piece for contour in contours for piece in dashes(contour, DASH_WIDTHS * line.width)] if look.dashed else []
    )
    for colour, thickness in line.strokes(look.colour):
        if look.dashed:
            cv2.polylines(picture, pieces, False, colour, thickness, cv2.LINE_AA)
        else:
            cv2.drawContours(picture, contours, -1, colour, thickness, cv2.LINE_AA)
