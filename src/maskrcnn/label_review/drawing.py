"""Pictures of labels as they are stated, also where they are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from maskrcnn.evaluation.parts import Part, around
from maskrcnn.json_values import number_of
from maskrcnn.masks.polygons_coco import coco_polygons
from maskrcnn.structures import Size
from maskrcnn.structures.large_image import Window
from maskrcnn.structures.masks import ByteArray, FloatArray
from maskrcnn.viz.inline import inline_jpeg

LONGEST_SIDE = 560

_BOX, _OUTLINE, _GROUND = (255, 176, 0), (230, 30, 60), 236
_MARGIN = 0.25
"""Of the sides, around the picture, for what lies outside it."""


def draw_stated(part: Part, entry: Mapping[str, Any]) -> str:
    """An annotation as it is stated over its picture, or a part of that: polygons red, the box orange.

    What lies outside of a whole picture is shown on a margin, as far as that reaches. Comes as a `data:` address.
    """
    shapes = [(points - part.window[:2], colour) for points, colour in _shapes(entry)]
    margin = _margin(part.pixels, [points for points, _ in shapes]) if part.is_whole else 0
    canvas = np.pad(part.pixels, ((margin, margin), (margin, margin), (0, 0)), constant_values=_GROUND)
    places = [np.clip(points + margin, -1e6, 1e6) for points, _ in shapes]
    x1, y1, x2, y2 = _surroundings(places, canvas.shape[:2])
    canvas = np.ascontiguousarray(canvas[y1:y2, x1:x2])
    factor = max(1, LONGEST_SIDE // max(canvas.shape[:2]))
    canvas = np.asarray(cv2.resize(canvas, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), np.uint8)
    line = max(1, round(max(canvas.shape[:2]) / 200))
    for points, (_, colour) in zip(places, shapes, strict=True):
        corners = ((points - (x1, y1)) * factor).round().astype(np.int32)
        cv2.polylines(canvas, [corners.reshape(-1, 1, 2)], True, colour, line)
    return inline_jpeg(canvas, LONGEST_SIDE)


def stated_window(entry: Mapping[str, Any], size: Size) -> Window | None:
    """The part of a large image around an annotation as it is stated; None where it states no place inside."""
    points = np.concatenate([np.zeros((0, 2)), *(points for points, _ in _shapes(entry))])
    inside = points[((points >= 0) & (points <= size[::-1])).all(axis=1)]
    return around((inside.min(axis=0) + inside.max(axis=0)) / 2, size) if len(inside) else None


def _shapes(entry: Mapping[str, Any]) -> list[tuple[FloatArray, tuple[int, int, int]]]:
    """Corners and colours of what an annotation states."""
    box = _box(entry.get("bbox"))
    rings = [(ring, _OUTLINE) for ring in _outlines(entry.get("segmentation"))]
    return rings if box is None else [*rings, (box, _BOX)]


def _surroundings(places: list[FloatArray], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the part to show: the shapes in three times their extent, at least a third of the picture.

    Without shapes, or where they reach beyond the margin, all of it.
    """
    height, width = size
    points = np.concatenate([np.zeros((0, 2)), *places])
    if not len(points) or points.min() < 0 or (points > (width, height)).any():
        return 0, 0, width, height
    centre, side = (points.min(axis=0) + points.max(axis=0)) / 2, np.ptp(points, axis=0).max()
    half = max(1.5 * side, max(size) / 6, 16)
    x1, y1 = np.maximum(centre - half, 0).astype(int).tolist()
    x2, y2 = np.minimum(centre + half + 1, (width, height)).astype(int).tolist()
    return x1, y1, x2, y2


def draw_part(overlay: ByteArray, part: Part, box: tuple[float, float, float, float]) -> str:
    """The surroundings of a box in the picture of a part, which may be larger by a factor than the part, with it."""
    left, top, _, bottom = part.window
    factor = overlay.shape[0] / (bottom - top)
    x1, y1, x2, y2 = ((value - start) * factor for value, start in zip(box, (left, top) * 2, strict=True))
    corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
    left, top, right, bottom = _surroundings([corners.clip(0, overlay.shape[1::-1])], overlay.shape[:2])
    seen = np.ascontiguousarray(overlay[top:bottom, left:right])
    line = max(1, round(max(seen.shape[:2]) / 150))
    cv2.polylines(seen, [(corners - (left, top)).round().astype(np.int32).reshape(-1, 1, 2)], True, _BOX, line)
    return inline_jpeg(seen, LONGEST_SIDE)


def _outlines(segmentation: Any) -> list[FloatArray]:
    """The rings of good numbers, of two points or more."""
    if not isinstance(segmentation, list):
        return []
    rings = (_numbers(ring) for ring in coco_polygons(segmentation))
    return [ring[: len(ring) // 2 * 2].reshape(-1, 2) for ring in rings if ring is not None and len(ring) >= 4]


def _box(value: Any) -> FloatArray | None:
    numbers = _numbers(value)
    if numbers is None or len(numbers) != 4:
        return None
    x, y, width, height = numbers.tolist()
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)])


def _numbers(values: Any) -> FloatArray | None:
    if not isinstance(values, list | tuple):
        return None
    numbers = [number_of(value) for value in values]
    return None if None in numbers else np.array(numbers, dtype=np.float64)


def _margin(picture: ByteArray, shapes: list[FloatArray]) -> int:
    """Pixels around the picture; 0 where nothing lies outside."""
    height, width = picture.shape[:2]
    outside = [max(-ring.min(), (ring - (width, height)).max()) for ring in shapes]
    return int(min(max([0.0, *outside]), _MARGIN * max(height, width)))
