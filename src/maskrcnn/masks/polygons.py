"""Polygons: which pixels COCO says a ring covers, and the rings around a bitmap.

COCO's rule, and how it is followed without drawing an edge, stands in `polygon_crossings.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import ceil, floor

import numpy as np

from maskrcnn.masks.bands import encode_in_bands
from maskrcnn.masks.polygon_crossings import FINE, fine_points, runs_of_rings
from maskrcnn.masks.rle import Window
from maskrcnn.structures import RLE, Polygons, Size
from maskrcnn.structures.masks import ByteArray, FloatArray, IntArray
from maskrcnn.ways import Ways


def rasterize_reference(polygons: Polygons, window: Window, size: Size) -> ByteArray:
    """The rule as written: every grid point of every edge, one after the other, in the full frame."""
    height, width = size
    frame = np.zeros(size, np.uint8)
    for ring in polygons.rings:
        chain = _chain(fine_points(ring))
        inside = np.zeros((height + 1, width), np.uint8)
        for (u, v), (next_u, next_v) in pairwise(chain):
            x, remainder = divmod(min(u, next_u) - 2, FINE)
            if u != next_u and remainder == 0 and 0 <= x < width:
                y = min(max((min(v, next_v) + 2) // FINE, 0), height)
                inside[y:, x] ^= 1
        frame |= inside[:height]
    x1, y1, x2, y2 = window
    return frame[y1:y2, x1:x2]


def _chain(fine: IntArray) -> list[tuple[int, int]]:
    """All grid points (u, v) along a ring (n, 2), edge after edge: one per step of the edge's long axis."""
    chain = []
    for (xs, ys), (xe, ye) in zip(fine.tolist(), np.roll(fine, -1, axis=0).tolist(), strict=True):
        dx, dy = abs(xe - xs), abs(ye - ys)
        if dx == dy == 0:
            continue
        along_x = dx >= dy
        flip = xs > xe if along_x else ys > ye
        (u0, v0), (u1, v1) = ((xe, ye), (xs, ys)) if flip else ((xs, ys), (xe, ye))
        steps = range(max(dx, dy), -1, -1) if flip else range(max(dx, dy) + 1)
        if along_x:
            chain += [(u0 + t, int(v0 + (v1 - v0) / dx * t + 0.5)) for t in steps]
        else:
            chain += [(int(u0 + (u1 - u0) / dy * t + 0.5), v0 + t) for t in steps]
    return chain


def rasterize_crossings(polygons: Polygons, window: Window, size: Size) -> ByteArray:
    """The same from the crossings alone, inside the window only."""
    x1, y1, x2, y2 = window
    changes = runs_of_rings(polygons.rings, window)
    counts: IntArray = np.diff(np.concatenate([[0], changes, [(x2 - x1) * (y2 - y1)]]))
    values = (np.arange(len(counts)) % 2).astype(np.uint8)
    return np.repeat(values, counts).reshape(x2 - x1, y2 - y1).T


RASTERIZE: Ways[Callable[[Polygons, Window, Size], ByteArray]] = Ways(
    reference=rasterize_reference, crossings=rasterize_crossings
)


def rasterize_polygons(polygons: Polygons, window: Window, size: Size) -> ByteArray:
    """The bitmap (h, w) uint8 of the pixels in `window` that any ring covers by COCO's rule.

    Args:
        polygons: rings in continuous pixels; they may leave the frame.
        window: x1, y1, x2, y2 in whole pixels, half open, inside the frame.
        size: (height, width) of the frame.

    Raises:
        UserError: a coordinate is not finite.
    """
    return RASTERIZE.choose("crossings")(polygons, window, size)


def polygon_window(polygons: Polygons, size: Size) -> Window:
    """A window that holds all pixels of the polygons in a frame of `size`; zeros if there are none."""
    rings = [ring for ring in polygons.rings if len(ring)]
    if not rings:
        return 0, 0, 0, 0
    corners = fine_points(np.concatenate(rings)) / FINE
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    height, width = size
    x1, y1 = max(floor(left), 0), max(floor(top), 0)
    x2, y2 = min(ceil(right), width), min(ceil(bottom), height)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else (0, 0, 0, 0)


def polygon_to_rle(polygons: Polygons, size: Size) -> RLE:
    """Run lengths of the union of all rings, equal to pycocotools'."""
    return encode_in_bands(lambda part: rasterize_polygons(polygons, part, size), polygon_window(polygons, size), size)


Ring = FloatArray
"""(n, 2) x, y in continuous pixels."""


def bitmap_to_polygons(bitmap: ByteArray) -> list[tuple[Ring, list[Ring]]]:
    """The rings around each connected part of a bitmap (H, W): (outer ring, [rings of its holes]) per part.

    Rings run along pixel edges (cutting only the corners), so that rasterising them gives the bitmap back. Pixels that
    touch at a corner belong to one part.
    """
    import cv2

    fine = _corner_grid(bitmap)
    contours, hierarchy = cv2.findContours(fine, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return []
    rings = [(contour.reshape(-1, 2) - 1) / 2.0 for contour in contours]
    parents = hierarchy[0, :, 3].tolist()  # -1 for outer rings
    return [
        (ring, [hole for hole, parent in zip(rings, parents, strict=True) if parent == index])
        for index, ring in enumerate(rings)
        if parents[index] == -1
    ]


def _corner_grid(bitmap: ByteArray) -> ByteArray:
    """A grid with points at every pixel corner, edge and centre, 1 where a pixel of the mask touches the point.

    OpenCV's contours join *points* of the mask. On this grid the outermost points are the pixels' corners; on the
    bitmap itself they would be pixel centres, half a pixel inside. One point of margin on all sides.
    """
    import cv2

    height, width = bitmap.shape
    grid = np.zeros((2 * height + 3, 2 * width + 3), np.uint8)
    grid[2:-1:2, 2:-1:2] = bitmap != 0
    return np.asarray(cv2.dilate(grid, np.ones((3, 3), np.uint8)))
