"""Shapes of labelling tools as closed outlines; numbers are checked here, since files may hold anything."""

from __future__ import annotations

import math
from typing import Any

from maskrcnn.json_values import is_number, whole_number
from maskrcnn.masks.rle_coco import LARGEST_LABELLED
from maskrcnn.structures import Size

Flat = list[float]
"""x1, y1, x2, y2, ... of a closed outline."""

_SAGITTA = 0.02
"""Pixels between an arc and its chord: less than what a rasteriser resolves."""


def numbers(values: Any, count: int | None = None) -> list[float] | None:
    """A list of good numbers (of this length), or None."""
    if not isinstance(values, list | tuple) or (count is not None and len(values) != count):
        return None
    return [float(value) for value in values] if all(map(is_number, values)) else None


def points_of(values: Any) -> Flat | None:
    """A list of points [x, y] as x, y, x, y, ...; None for anything else."""
    if not isinstance(values, list):
        return None
    pairs = [numbers(value, 2) for value in values]
    return [number for pair in pairs if pair is not None for number in pair] if None not in pairs else None


def coordinates(xs: Any, ys: Any) -> Flat | None:
    """Two lists of equal length, one of x and one of y."""
    left, top = numbers(xs), numbers(ys)
    if left is None or top is None or len(left) != len(top):
        return None
    return [number for pair in zip(left, top, strict=True) for number in pair]


def rectangle(x1: float, y1: float, x2: float, y2: float) -> Flat:
    """Between two opposite corners, whichever they are."""
    x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
    return [x1, y1, x2, y1, x2, y2, x1, y2]


def ellipse(cx: float, cy: float, rx: float, ry: float, angle: float = 0.0) -> Flat:
    """With half axes `rx` and `ry`, turned by `angle` radians from x to y."""
    rx, ry = abs(rx), abs(ry)
    steps = min(max(12, math.ceil(math.pi / math.acos(1 - min(1.0, _SAGITTA / max(rx, ry, _SAGITTA))))), 5000)
    around = [2 * math.pi * step / steps for step in range(steps)]
    return turned([x for t in around for x in (cx + rx * math.cos(t), cy + ry * math.sin(t))], cx, cy, angle)


def turned(outline: Flat, cx: float, cy: float, angle: float) -> Flat:
    """An outline turned about (cx, cy) by `angle` radians from x to y: clockwise on the screen."""
    cos, sin = math.cos(angle), math.sin(angle)
    moved = [(x - cx, y - cy) for x, y in zip(outline[::2], outline[1::2], strict=True)]
    return [number for x, y in moved for number in (cx + x * cos - y * sin, cy + x * sin + y * cos)]


def scaled(outline: Flat, x: float, y: float) -> Flat:
    """Every x times `x`, every y times `y`."""
    return [number * (y if place % 2 else x) for place, number in enumerate(outline)]


def stated_size(height: Any, width: Any) -> Size | None:
    """(height, width) as a label file states them; some tools state 0."""
    rows, columns = whole_number(height), whole_number(width)
    is_size = rows and columns and min(rows, columns) > 0 and rows * columns <= LARGEST_LABELLED
    return (rows, columns) if rows and columns and is_size else None


def entries(values: Any) -> list[dict[str, Any]]:
    """The objects of a JSON list; nothing for anything else."""
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}
