"""Overlays: what was found, drawn over the image: outlines, translucent fills, names and scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.errors import UserError
from maskrcnn.files import write_atomically
from maskrcnn.structures.masks import ByteArray, Floats, IntArray, Masks
from maskrcnn.viz.colours import Colour, instance_colour
from maskrcnn.viz.labels import Box, Label, draw_labels
from maskrcnn.viz.skeletons import Skeletons, draw_skeleton

USUAL_LONG_SIDE = 1000
"""Small images are enlarged by the whole factor that comes nearest to this, so that text and thin lines fit ..."""

MAX_ENLARGEMENT = 4
"""... but not by more than this."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")

CROWDED = 40
"""With more objects than this, names and fills would hide the image: thin outlines only."""


@dataclass(frozen=True)
class _Style:
    """Line width in pixels, the colour's share in a fill, text height in pixels (0: no text)."""

    line: int
    fill: float
    text: int


def _style_for(picture: ByteArray, num_objects: int) -> _Style:
    """Lines and text that look the same whatever the number of pixels."""
    long_side = max(picture.shape[:2])
    if num_objects > CROWDED:
        return _Style(max(round(long_side / 600), 1), 0.0, 0)
    return _Style(max(round(long_side / 450), 1), 0.3, max(round(long_side / 55), 13))


@dataclass(frozen=True)
class _Shape:
    """One object in the picture. Its bitmap is made anew for every use: those of all objects may take gigabytes.

    Attributes:
        bitmap: makes the bitmap of 0 and 1.
        window: x1, y1, x2, y2 of the bitmap in the picture.
        box: x1, y1, x2, y2 of the object in the picture.
        colour: to draw it in.
    """

    bitmap: Callable[[], ByteArray]
    window: tuple[int, int, int, int]
    box: Box
    colour: Colour

    @property
    def area(self) -> int:
        """Of the window."""
        x1, y1, x2, y2 = self.window
        return (x2 - x1) * (y2 - y1)


def draw_overlay(
    image: ByteArray,
    masks: Masks | None,
    boxes: Floats,
    labels: IntArray,
    scores: Floats | None,
    names: Sequence[str],
    skeletons: Skeletons | None = None,
) -> ByteArray:
    """A picture of D objects over their image.

    Args:
        image: (H, W, 3) uint8 RGB; it is not changed.
        masks: of the objects, in the image's frame; with None, or for an empty one, the box is drawn.
        boxes: (D, 4) x1, y1, x2, y2, pixels of the image.
        labels: (D,) class 0..K-1.
        scores: (D,), or None for ground truth.
        names: of the K classes.
        skeletons: the objects' keypoints, to draw these too.

    Returns:
        (f H, f W, 3) uint8 RGB, where the whole number f is 1 but for small images (`USUAL_LONG_SIDE`).
    """
    factor = min(max(round(USUAL_LONG_SIDE / max(*image.shape[:2], 1)), 1), MAX_ENLARGEMENT)
    picture = _enlarged_image(image, factor)
    style = _style_for(picture, len(boxes))
    shapes = _shapes(masks, boxes, factor)
    from_large = sorted(shapes, key=lambda shape: -shape.area)  # small objects lie on top
    for shape in from_large:
        _fill(picture, shape, style.fill)
    for shape in from_large:
        _outline(picture, shape, style.line)
    if skeletons is not None:
        for i, shape in enumerate(shapes):
            draw_skeleton(picture, skeletons.of(i, factor), skeletons.lines, shape.colour, 2 * style.line)
    if not style.text:
        return picture
    texts = _texts(labels, scores, names)
    tags = [Label(text, shape.box, shape.colour) for text, shape in zip(texts, shapes, strict=True)]
    return draw_labels(picture, tags, style.text)


def save_picture(path: Path, picture: ByteArray) -> None:
    """Write an (H, W, 3) uint8 RGB picture in the format its file name ends with.

    Raises:
        UserError: another ending than .png, .jpg, .webp, .tif or .bmp, or the file cannot be written.
    """
    kind = picture_format(path)
    write_atomically(path, lambda partial: Image.fromarray(picture).save(partial, kind, quality=92))


def picture_format(path: Path) -> str:
    """Pillow's name of the format that a file name ends with; a `UserError` where it is none that we write."""
    kind = Image.registered_extensions().get(path.suffix.lower(), "")
    if kind not in _FORMATS:
        raise UserError(
            f"{path}: expected a name ending in .png, .jpg, .webp, .tif or .bmp, got {path.suffix!r}; rename it"
        )
    return kind


def _shapes(masks: Masks | None, boxes: Floats, factor: int) -> list[_Shape]:
    """The objects in the frame of the enlarged picture."""
    windows = np.zeros((len(boxes), 4), np.int64) if masks is None else masks.windows * factor
    corners = np.nan_to_num(boxes.astype(np.float64), nan=0, posinf=0, neginf=0) * factor
    return [
        _Shape(partial(_bitmap, masks, i, factor), tuple(window), tuple(box), instance_colour(i))
        for i, (window, box) in enumerate(zip(windows.tolist(), corners.tolist(), strict=True))
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
    padded = np.pad(bitmap * np.uint8(255), 1)
    enlarged = cv2.resize(padded, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged[factor:-factor, factor:-factor] > 127, np.uint8)


def _fill(picture: ByteArray, shape: _Shape, share: float) -> None:
    """Blend the colour into the object's pixels, in place."""
    import cv2

    if share == 0 or shape.area == 0:
        return
    x1, y1, x2, y2 = shape.window
    region = picture[y1:y2, x1:x2]
    plain = np.full_like(region, shape.colour)
    blended = cv2.addWeighted(region, 1 - share, plain, share, 0)
    np.copyto(region, blended, where=shape.bitmap()[..., None] != 0)


def _outline(picture: ByteArray, shape: _Shape, width: int) -> None:
    """Draw along the object's border and those of its holes, or around its box if it has no mask, in place."""
    import cv2

    contours, _ = cv2.findContours(shape.bitmap(), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=shape.window[:2])
    if contours:
        cv2.drawContours(picture, contours, -1, shape.colour, width, cv2.LINE_AA)
    else:
        limit = max(picture.shape)
        x1, y1, x2, y2 = (round(min(max(edge, -limit), 2 * limit)) for edge in shape.box)
        cv2.rectangle(picture, (x1, y1), (x2, y2), shape.colour, width, cv2.LINE_AA)
