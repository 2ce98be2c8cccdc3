"""Polygons as COCO annotations hold them, and as labelling tools and scripts write them."""

from __future__ import annotations

from typing import Any

from maskrcnn.json_values import is_number


def coco_polygons(segmentation: list[Any]) -> list[Any]:
    """COCO's list of polygons, each x, y, x, y, ...

    What has this form comes back as the same object. Three others are understood: a single polygon that is not inside
    a list, and points that are pairs [x, y] or objects {"x": x, "y": y}. Anything else is left as it is, for the caller
    to judge.
    """
    if segmentation and (is_number(segmentation[0]) or all(map(_is_point, segmentation))):
        segmentation = [segmentation]
    if any(_is_of_points(polygon) for polygon in segmentation):
        return [_flat(polygon) if _is_of_points(polygon) else polygon for polygon in segmentation]
    return segmentation


def _is_of_points(polygon: Any) -> bool:
    return isinstance(polygon, list) and bool(polygon) and _is_point(polygon[0]) and all(map(_is_point, polygon))


def _is_point(value: Any) -> bool:
    if isinstance(value, dict):
        return is_number(value.get("x")) and is_number(value.get("y"))
    return isinstance(value, list) and len(value) == 2 and is_number(value[0]) and is_number(value[1])


def _flat(polygon: list[Any]) -> list[float]:
    pairs = ((point["x"], point["y"]) if isinstance(point, dict) else point for point in polygon)
    return [number for pair in pairs for number in pair]
