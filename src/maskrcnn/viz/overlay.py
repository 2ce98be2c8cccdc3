"""Overlays: what was found, drawn over the image: outlines, translucent fills, names and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.errors import UserError
from maskrcnn.files import write_atomically
from maskrcnn.marks import mark_options
from maskrcnn.structures.masks import ByteArray, Floats, IntArray, Masks
from maskrcnn.viz import outlines
from maskrcnn.viz.colours import instance_colour
from maskrcnn.viz.drawing import USUAL, Drawing
from maskrcnn.viz.labels import Label, draw_labels, draw_legend
from maskrcnn.viz.looks import Look
from maskrcnn.viz.occupancy import Occupancy
from maskrcnn.viz.outlines import Line, Shape
from maskrcnn.viz.shrinking import at_most
from maskrcnn.viz.skeletons import Skeletons, draw_skeleton

USUAL_LONG_SIDE = 1000
"""Small images are enlarged by the whole factor that comes nearest to this, so that text and thin lines fit ..."""

MAX_ENLARGEMENT = 4
"""... but not by more than this."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")

CROWDED = 40
"""With more objects than this, names and scores would hide the image."""


BRIGHT = 70
"""Mean of the channels, 0 to 255."""


@dataclass(frozen=True)
class _Style:
    """Lines, the colour's share in a fill, text height in pixels (0: no text beside objects)."""

    line: Line
    fill: float
    text: int


def _style_for(picture: ByteArray, num_objects: int, by_class: bool, drawing: Drawing) -> _Style:
    """Lines and text that look the same whatever the number of pixels."""
    long_side, crowded = _long_side(picture), num_objects > CROWDED
    usual = max(round(long_side / (600 if crowded else 450)), 1)
    share = 0.0 if crowded and not by_class else 0.3
    text = 0 if crowded or "labels" not in drawing.parts else text_height(picture)
    return _Style(Line(drawing.line_width or usual, _is_bright(picture)), share, text)


def text_height(picture: ByteArray) -> int:
    """Of labels, in pixels."""
    return max(round(_long_side(picture) / 55), 13)


def draw_overlay(
    image: ByteArray,
    masks: Masks | None,
    boxes: Floats,
    labels: IntArray,
    scores: Floats | None,
    names: Sequence[str],
    skeletons: Skeletons | None = None,
    drawing: Drawing = USUAL,
    looks: Sequence[Look] | None = None,
) -> ByteArray:
    """A picture of D objects over their image, coloured by class, with a legend; one by one where there is one class.

    Args:
        image: (H, W, 3) uint8 RGB; it is not changed.
        masks: of the objects, in the image's frame; with None, or for an empty one, the box is drawn.
        boxes: (D, 4) x1, y1, x2, y2, pixels of the image.
        labels: (D,) class 0..K-1.
        scores: (D,), or None for ground truth.
        names: of the K classes.
        skeletons: the objects' keypoints, to draw these too.
        drawing: what is drawn, and how large.
        looks: how each object is drawn; None: in the colour of its class, or its own.

    Returns:
        (f H, f W, 3) uint8 RGB, where the whole number f is 1 but for small images (`USUAL_LONG_SIDE`), and what is
        longer than `drawing.longest_side` is made smaller.
    """
    factor = _enlargement(image, drawing)
    picture = _enlarged_image(image, factor)
    by_class = len(names) > 1
    style = _style_for(picture, len(boxes), by_class, drawing)
    looks = looks or [Look(instance_colour(n)) for n in (labels.tolist() if by_class else range(len(boxes)))]
    shapes = _shapes(masks if "masks" in drawing.parts else None, boxes, looks, factor)
    occupancy = Occupancy(picture.shape[:2], max(text_height(picture) // 2, 4))
    writes = style.text > 0 or by_class
    for shape in sorted(shapes, key=lambda shape: -shape.area):  # small objects lie on top
        _draw_shape(picture, shape, style, drawing, occupancy if writes else None)
    for shape in shapes:
        outlines.sign(picture, shape, style.line)
    if skeletons is not None:
        for i, shape in enumerate(shapes):
            draw_skeleton(picture, skeletons.of(i, factor), skeletons.lines, shape.colour, 2 * style.line.width)
    legend = None
    if by_class and len(boxes) and "labels" in drawing.parts:
        present = [(names[label], instance_colour(label)) for label in np.unique(labels).tolist()]
        legend = draw_legend(picture, present, text_height(picture), occupancy)
    if style.text:
        texts = _texts(labels, scores, names)
        tags = [
            Label(f"{s.look.word} {text}".strip(), s.box, s.colour, s.index)
            for text, s in zip(texts, shapes, strict=True)
        ]
        draw_labels(picture, tags, style.text, occupancy, legend)
    return at_most(picture, drawing.longest_side)


def _is_bright(picture: ByteArray) -> bool:
    """By a pixel in each sixteenth row and column."""
    sample = picture[::16, ::16]
    return bool(sample.size) and float(sample.mean()) > BRIGHT


def _draw_shape(picture: ByteArray, shape: Shape, style: _Style, drawing: Drawing, occupancy: Occupancy | None) -> None:
    bitmap = shape.bitmap()
    if occupancy is not None:
        occupancy.add(shape.index, bitmap, shape.window)
    outlines.fill(picture, shape, bitmap, style.fill)
    if not outlines.outline(picture, shape, bitmap, style.line) or "boxes" in drawing.parts:
        outlines.box(picture, shape, style.line)


def _enlargement(image: ByteArray, drawing: Drawing) -> int:
    aim = USUAL_LONG_SIDE if drawing.longest_side is None else drawing.longest_side
    nearest: int = round(aim / max(_long_side(image), 1))
    return min(max(nearest, 1), MAX_ENLARGEMENT)


def _long_side(picture: ByteArray) -> int:
    height, width = picture.shape[:2]
    return int(max(height, width))


def save_picture(path: Path, picture: ByteArray) -> None:
    """Write an (H, W, 3) uint8 RGB picture in the format its file name ends with.

    Raises:
        UserError: another ending than .png, .jpg, .webp, .tif or .bmp, or the file cannot be written.
    """
    kind = picture_format(path)
    options = mark_options(kind)
    write_atomically(path, lambda partial: Image.fromarray(picture).save(partial, kind, quality=92, **options))


def picture_format(path: Path) -> str:
    """Pillow's name of the format that a file name ends with; a `UserError` where it is none that we write."""
    kind = Image.registered_extensions().get(path.suffix.lower(), "")
    if kind not in _FORMATS:
        raise UserError(
            f"{path}: expected a name ending in .png, .jpg, .webp, .tif or .bmp, got {path.suffix!r}; rename it"
        )
    return kind


def _shapes(masks: Masks | None, boxes: Floats, looks: Sequence[Look], factor: int) -> list[Shape]:
    """The objects in the frame of the enlarged picture."""
    windows = np.zeros((len(boxes), 4), np.int64) if masks is None else masks.windows * factor
    corners = np.nan_to_num(boxes.astype(np.float64), nan=0, posinf=0, neginf=0) * factor
    return [
        Shape(i, partial(_bitmap, masks, i, factor), tuple(window), tuple(box), look)
        for i, (window, box, look) in enumerate(zip(windows.tolist(), corners.tolist(), looks, strict=True))
    ]


def _bitmap(masks: Masks | None, index: int, factor: int) -> ByteArray:
    if masks is None:
        return np.zeros((0, 0), np.uint8)
    return _enlarged_bitmap(masks.crop(index), factor)


def _texts(labels: IntArray, scores: Floats | None, names: Sequence[str]) -> list[str]:
    classes = [names[label] for label in labels.tolist()]
    if scores is None:
        return classes
    return [f"{name} {score:.2f}" for name, score in zip(classes, scores.tolist(), strict=True)]


def _enlarged_image(image: ByteArray, factor: int) -> ByteArray:
    import cv2

    if factor == 1 or image.size == 0:
        return image.copy()
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)


def _enlarged_bitmap(bitmap: ByteArray, factor: int) -> ByteArray:
    """Bilinear, so that outlines are smooth where pixels have become blocks; zeros around it keep the border there."""
    import cv2

    if factor == 1 or bitmap.size == 0:
        return bitmap
    padded = cv2.copyMakeBorder(bitmap * np.uint8(255), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    enlarged = cv2.resize(padded, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    _, decided = cv2.threshold(enlarged, 127, 1, cv2.THRESH_BINARY)
    return np.asarray(decided[factor:-factor, factor:-factor], np.uint8)
