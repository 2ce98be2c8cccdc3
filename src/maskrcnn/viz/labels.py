"""Labels: short texts beside their boxes, none over another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from maskrcnn.structures.masks import ByteArray, FloatArray
from maskrcnn.viz.colours import Colour, text_colour

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the picture."""


@dataclass(frozen=True)
class Label:
    """A text, the box it belongs to, and the colour of the plate behind it."""

    text: str
    box: Box
    colour: Colour


def draw_labels(picture: ByteArray, labels: Sequence[Label], text_height: int) -> ByteArray:
    """The picture (H, W, 3) with as many labels as find a free place; the first ones choose first."""
    image = Image.fromarray(picture)
    canvas = ImageDraw.Draw(image)
    font = ImageFont.load_default(text_height)
    margin = max(text_height // 5, 2)
    _, top, _, bottom = canvas.textbbox((0, 0), "Ag", font, anchor="ls")  # plates are equally high for all texts
    height = bottom - top + 2 * margin
    taken = np.zeros((0, 4))
    for label in labels:
        width = canvas.textlength(label.text, font) + 2 * margin
        plate = _free_place(label.box, (width, height), image.size, taken)
        if plate is None:
            continue
        taken = np.vstack([taken, plate])
        canvas.rounded_rectangle(plate, radius=margin, fill=label.colour)
        baseline = (plate[0] + margin, plate[1] + margin - top)
        canvas.text(baseline, label.text, text_colour(label.colour), font, anchor="ls")
    return np.array(image)


def _free_place(box: Box, plate: tuple[float, float], picture: tuple[int, int], taken: FloatArray) -> Box | None:
    """The first place beside the box, inside the picture, where no plate is yet; all sizes are (width, height)."""
    width, height = plate
    for x, y in _places(box, height):
        x1 = float(round(min(max(x, 0), max(picture[0] - width - 1, 0))))
        y1 = float(round(min(max(y, 0), max(picture[1] - height - 1, 0))))
        x2, y2 = x1 + width, y1 + height
        overlaps = (taken[:, 0] <= x2) & (taken[:, 2] >= x1) & (taken[:, 1] <= y2) & (taken[:, 3] >= y1)
        if not overlaps.any():
            return x1, y1, x2, y2
    return None


def _places(box: Box, height: float) -> Iterator[tuple[float, float]]:
    """Top-left corners to try: above the box, inside at its top, inside at its bottom, below it."""
    x1, y1, _, y2 = box
    for y in (y1 - height - 1, y1, y2 - height, y2 + 1):
        yield x1, y
