"""Labels: short texts beside their boxes, none over another or over somebody else's object; and a legend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from maskrcnn.structures.masks import ByteArray, FloatArray
from maskrcnn.text import one_line
from maskrcnn.viz.colours import Colour, text_colour
from maskrcnn.viz.occupancy import Occupancy

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the picture."""

LONGEST_NAME = 30
"""Characters of a name in a legend."""

MOST = 0.5
"""Of the box of an object: a plate that covers more hides it."""

_LEGEND = (24, 26, 30)
"""Its background."""


@dataclass(frozen=True)
class Label:
    """A text, the box it belongs to, the colour of the plate behind it, and the object's number where others count."""

    text: str
    box: Box
    colour: Colour
    index: int | None = None


def draw_labels(
    picture: ByteArray,
    labels: Sequence[Label],
    text_height: int,
    occupancy: Occupancy | None = None,
    legend: Box | None = None,
) -> None:
    """Draw as many labels as find a free place in the picture (H, W, 3), not on a legend; the first choose first."""
    font, margin, top, height = _font(text_height)
    taken = np.zeros((0, 4)) if legend is None else np.array([legend], np.float64)
    for label in labels:
        width = font.getlength(label.text) + 2 * margin
        plate = _free_place(label, (width, height), picture.shape[:2], taken, occupancy)
        if plate is None:
            continue
        taken = np.vstack([taken, plate])
        with _Canvas(picture, plate) as canvas:
            canvas.draw.rounded_rectangle((0, 0, width, height), radius=margin, fill=label.colour)
            canvas.draw.text((margin, margin - top), label.text, text_colour(label.colour), font, anchor="ls")


def draw_legend(
    picture: ByteArray, entries: Sequence[tuple[str, Colour]], text_height: int, occupancy: Occupancy
) -> Box:
    """Draw names beside their colours into the corner of the picture where they cover least; where that is."""
    font, margin, top, height = _font(text_height)
    rows = max(int((picture.shape[0] - 2 * margin) // height), 1)
    shown = [(one_line(name, LONGEST_NAME), colour) for name, colour in entries[:rows]]
    if len(entries) > rows:
        shown[-1] = (f"{len(entries) - rows + 1} more", _LEGEND)
    width = max(font.getlength(name) for name, _ in shown) + height + 3 * margin
    plate = _emptiest_corner((width, height * len(shown) + margin), picture.shape[:2], occupancy)
    with _Canvas(picture, plate) as canvas:
        canvas.draw.rounded_rectangle((0, 0, width, plate[3] - plate[1]), radius=margin, fill=_LEGEND)
        for row, (name, colour) in enumerate(shown):
            y = row * height + margin
            canvas.draw.rectangle((margin, y, height - margin, y + height - 2 * margin), fill=colour)
            canvas.draw.text((height + margin, y - top), name, (240, 240, 240), font, anchor="ls")
    return plate


class _Canvas:
    """A part of a picture for Pillow to draw on; what lies outside the picture is lost."""

    def __init__(self, picture: ByteArray, plate: Box) -> None:
        x1, y1, x2, y2 = (int(side) for side in plate)
        self._part = picture[y1 : y2 + 2, x1 : x2 + 2]
        self._image = Image.fromarray(np.ascontiguousarray(self._part))
        self.draw = ImageDraw.Draw(self._image)

    def __enter__(self) -> _Canvas:
        return self

    def __exit__(self, *error: object) -> None:
        self._part[:] = np.asarray(self._image)


@lru_cache(maxsize=8)
def _font(text_height: int) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, int, float, float]:
    """Font, margin, the top of the text above its baseline, and the height of a plate: equal for all texts."""
    font, margin = ImageFont.load_default(text_height), max(text_height // 5, 2)
    _, top, _, bottom = ImageDraw.Draw(Image.new("RGB", (1, 1))).textbbox((0, 0), "Ag", font, anchor="ls")
    return font, margin, top, bottom - top + 2 * margin


def _free_place(
    label: Label,
    plate: tuple[float, float],
    picture: tuple[int, ...],
    taken: FloatArray,
    occupancy: Occupancy | None,
) -> Box | None:
    """The first place beside the box, inside the picture, where neither a plate nor another object is.

    Moved into the picture, a plate may lie on its own object: one that leaves it to be seen is taken before.
    """
    width, height = plate
    hiding: Box | None = None
    for x, y in _places(label.box, width, height):
        x1 = float(round(min(max(x, 0), max(picture[1] - width - 1, 0))))
        y1 = float(round(min(max(y, 0), max(picture[0] - height - 1, 0))))
        x2, y2 = x1 + width, y1 + height
        overlaps = (taken[:, 0] <= x2) & (taken[:, 2] >= x1) & (taken[:, 1] <= y2) & (taken[:, 3] >= y1)
        if not overlaps.any() and (occupancy is None or not occupancy.covered((x1, y1, x2, y2), label.index)):
            if not _hides((x1, y1, x2, y2), label.box, picture):
                return x1, y1, x2, y2
            hiding = hiding or (x1, y1, x2, y2)
    return hiding


def _hides(plate: Box, box: Box, picture: tuple[int, ...]) -> bool:
    """Whether most of what the picture (H, W) has of the box is under the plate."""
    shown = (max(box[0], 0), max(box[1], 0), min(box[2], picture[1]), min(box[3], picture[0]))
    return _shared_area(plate, shown) > MOST * _shared_area(shown, shown)


def _shared_area(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(width, 0.0) * max(height, 0.0)


def _places(box: Box, width: float, height: float) -> Iterator[tuple[float, float]]:
    """Top-left corners to try: above the box, below it, to the right, to the left, inside at its top and bottom."""
    x1, y1, x2, y2 = box
    yield from ((x1, y1 - height - 1), (x1, y2 + 1), (x2 + 1, y1), (x1 - width - 1, y1), (x1, y1), (x1, y2 - height))


def _emptiest_corner(plate: tuple[float, float], picture: tuple[int, ...], occupancy: Occupancy) -> Box:
    width, height = plate
    right, bottom = max(picture[1] - width - 2, 0), max(picture[0] - height - 2, 0)
    corners = [(x, y, x + width, y + height) for y in (0.0, float(int(bottom))) for x in (0.0, float(int(right)))]
    return min(corners, key=occupancy.covered)
