"""Skeletons: keypoints as dots, and the lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from maskrcnn.structures.masks import BoolArray, ByteArray, FloatArray, Floats
from maskrcnn.viz.colours import Colour

KEYPOINT_THRESHOLD = 0.05
"""Found keypoints that score no more than this are not drawn."""

_DARK, _LIGHT = (0, 0, 0), (255, 255, 255)

_FRACTION_BITS = 4
"""OpenCV draws between pixels, given coordinates in sixteenths."""


@dataclass(frozen=True)
class Skeletons:
    """The keypoints of D objects, to be drawn.

    Attributes:
        keypoints: (D, P, 3) x, y in pixels of the image, and score or visibility.
        lines: pairs of keypoints that are joined.
        threshold: keypoints are drawn whose score or visibility is above this.
    """

    keypoints: Floats
    lines: Sequence[tuple[int, int]]
    threshold: float = KEYPOINT_THRESHOLD

    def of(self, index: int, factor: int) -> FloatArray:
        """(P, 2) places of one object's keypoints in a picture enlarged by `factor`; NaN for those not to be drawn."""
        rows = self.keypoints[index].astype(np.float64)
        drawn = (rows[:, 2] > self.threshold) & np.isfinite(rows).all(axis=1)
        return np.where(drawn[:, None], rows[:, :2] * factor, np.nan)


def draw_skeleton(
    picture: ByteArray, points: FloatArray, lines: Sequence[tuple[int, int]], colour: Colour, line_width: int
) -> None:
    """Draw one object's keypoints into the picture, in place.

    Lines have a dark rim and dots are light, so that both can be told from any background and from the object's fill.

    Args:
        picture: (H, W, 3).
        points: (P, 2) continuous pixels; those with NaN are left out, and so are their lines.
        lines: pairs of points.
        colour: of the lines.
        line_width: of thick lines; small objects get thinner ones.
    """
    import cv2

    seen: BoolArray = np.asarray(np.isfinite(points).all(axis=1))
    if not seen.any():
        return
    width = _fitting_width(points[seen], line_width)
    limit = 2 * max(picture.shape[:2])
    places = np.clip(np.nan_to_num(points) - 0.5, -limit, limit)  # OpenCV counts from the first pixel's centre
    places = np.rint(places * 2**_FRACTION_BITS).astype(int)
    joined = [(places[a].tolist(), places[b].tolist()) for a, b in lines if seen[a] and seen[b]]
    for line_colour, thickness in ((_DARK, width + 2), (colour, width)):
        for start, end in joined:
            cv2.line(picture, start, end, line_colour, thickness, cv2.LINE_AA, _FRACTION_BITS)
    for place in places[seen].tolist():
        for dot_colour, radius in ((_DARK, width + 1.5), (_LIGHT, width + 0.5)):
            cv2.circle(picture, place, int(radius * 2**_FRACTION_BITS), dot_colour, -1, cv2.LINE_AA, _FRACTION_BITS)


def _fitting_width(points: FloatArray, line_width: int) -> int:
    """A line width at which the dots of a small object do not run together."""
    extent = float((points.max(axis=0) - points.min(axis=0)).max())
    return max(1, min(line_width, round(extent / 60)))
