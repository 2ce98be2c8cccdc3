"""Polygons: which pixels COCO says a ring covers, and the rings around a bitmap.

COCO's rule: the ring is moved to a grid five times as fine, where its edges become chains of grid points. Where a
chain passes the middle of a pixel column (from fine x = 5 x + 2 to 5 x + 3), the mask changes between outside and
inside, from the first pixel whose centre is not above the crossing downwards. Only these crossings are computed, so a
ring costs its crossings inside the window, however large its coordinates are.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import ceil, floor

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.masks.rle import Window
from maskrcnn.masks.rle_crops import encode_rle_crop
from maskrcnn.structures import RLE, Polygons, Size
from maskrcnn.structures.masks import BoolArray, ByteArray, FloatArray, IntArray

_FINE = 5
"""Fine grid points per pixel and axis."""

_FINE_LIMIT = 2**31 - 1
"""Coordinates are cut here: COCO's own reader uses 32-bit numbers."""


def rasterize_reference(polygons: Polygons, window: Window, size: Size) -> ByteArray:
    """The rule as written: every grid point of every edge, one after the other, in the full frame."""
    height, width = size
    frame = np.zeros(size, np.uint8)
    for ring in polygons.rings:
        chain = _chain(_fine_ring(ring))
        inside = np.zeros((height + 1, width), np.uint8)
        for (u, v), (next_u, next_v) in pairwise(chain):
            x, remainder = divmod(min(u, next_u) - 2, _FINE)
            if u != next_u and remainder == 0 and 0 <= x < width:
                y = min(max((min(v, next_v) + 2) // _FINE, 0), height)
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
    """The same from the crossings alone, all edges at once, inside the window only."""
    x1, y1, x2, y2 = window
    pixels = np.zeros((x2 - x1, y2 - y1), np.uint8)
    for ring in polygons.rings:
        x, y = _crossings(_fine_ring(ring), x1, x2)
        # A column is crossed an even number of times, so changes below its last pixel cancel at the next column's top.
        changes = np.sort((x - x1) * (y2 - y1) + np.clip(y - y1, 0, y2 - y1))
        counts: IntArray = np.diff(np.concatenate([[0], changes, [pixels.size]]))
        pixels |= np.repeat((np.arange(len(counts)) % 2).astype(np.uint8), counts).reshape(pixels.shape)
    return pixels.T


def _fine_ring(ring: FloatArray) -> IntArray:
    """(n, 2) a ring's points on the fine grid, rounded as COCO does (a half upwards, negative numbers towards zero)."""
    if not np.isfinite(ring).all():
        raise UserError("polygon: expected finite coordinates, got nan or infinity; remove it or draw it again")
    return np.clip(np.trunc(_FINE * ring + 0.5), -_FINE_LIMIT, _FINE_LIMIT).astype(np.int64)


def _crossings(fine: IntArray, x1: int, x2: int) -> tuple[IntArray, IntArray]:
    """Pixel column x and first row y of every crossing in the columns from x1 up to x2; y may lie outside the frame."""
    edges = np.concatenate([fine, np.roll(fine, -1, axis=0)], axis=1)  # (n, 4) xs, ys, xe, ye
    sides = np.abs(edges[:, 2:] - edges[:, :2])
    along_x = sides[:, 0] >= sides[:, 1]
    flat_x, flat_v = _crossings_along_x(edges[along_x], x1, x2)
    steep_x, steep_v = _crossings_along_y(edges[~along_x], x1, x2)
    return np.concatenate([flat_x, steep_x]), (np.concatenate([flat_v, steep_v]) + 2) // _FINE


def _crossings_along_x(edges: IntArray, x1: int, x2: int) -> tuple[IntArray, IntArray]:
    """Column and fine v of the crossings of edges with a grid point per step of x.

    v is the upper of the two grid points, at 5 x + 2 and 5 x + 3.
    """
    edges = _ascending(edges, axis=0)
    edge, x = _crossed_columns(edges[:, 0], edges[:, 2], x1, x2)
    xs, ys, xe, ye = edges[edge].T
    slope = (ye - ys) / (xe - xs)
    step = _FINE * x + 2 - xs
    left, right = ys + slope * step + 0.5, ys + slope * (step + 1) + 0.5
    return x, np.trunc(np.minimum(left, right)).astype(np.int64)


def _crossings_along_y(edges: IntArray, x1: int, x2: int) -> tuple[IntArray, IntArray]:
    """Column and fine v of the crossings of edges with a grid point per step of y.

    v is the last grid point before the edge passes from 5 x + 2 to 5 x + 3 or back.
    """
    edges = _ascending(edges, axis=1)
    edge, x = _crossed_columns(edges[:, 0::2].min(axis=1), edges[:, 0::2].max(axis=1), x1, x2)
    xs, ys, xe, ye = edges[edge].T
    slope = (xe - xs) / (ye - ys)
    rightwards = slope > 0

    def has_passed(step: FloatArray) -> BoolArray:
        passed: BoolArray = (np.trunc(xs + slope * step + 0.5) >= _FINE * x + 3) == rightwards
        return passed

    step = np.ceil((_FINE * x + 2.5 - xs) / slope)
    # The division rounds otherwise than the rule's product does: the first step beyond may be one off either way.
    step = np.where(has_passed(step - 1), step - 1, np.where(has_passed(step), step, step + 1))
    return x, ys + step.astype(np.int64) - 1


def _ascending(edges: IntArray, axis: int) -> IntArray:
    """Edges turned so that they run forwards along an axis: both directions must give the same grid points."""
    backwards = edges[:, axis] > edges[:, axis + 2]
    return np.where(backwards[:, None], edges[:, [2, 3, 0, 1]], edges)


def _crossed_columns(low: IntArray, high: IntArray, x1: int, x2: int) -> tuple[IntArray, IntArray]:
    """Every pair (edge, pixel column x in x1..x2 - 1) for which the edge's fine x range holds 5 x + 2 and 5 x + 3."""
    first = np.maximum(-((2 - low) // _FINE), x1)
    last = np.minimum((high - 3) // _FINE, x2 - 1)
    counts = np.maximum(last - first + 1, 0)
    edge = np.repeat(np.arange(len(counts)), counts)
    return edge, (first - np.cumsum(counts) + counts)[edge] + np.arange(len(edge))


RASTERIZE: dict[str, Callable[[Polygons, Window, Size], ByteArray]] = {
    "reference": rasterize_reference,
    "crossings": rasterize_crossings,
}


def rasterize_polygons(polygons: Polygons, window: Window, size: Size) -> ByteArray:
    """The bitmap (h, w) uint8 of the pixels in `window` that any ring covers by COCO's rule.

    Args:
        polygons: rings in continuous pixels; they may leave the frame.
        window: x1, y1, x2, y2 in whole pixels, half open, inside the frame.
        size: (height, width) of the frame.

    Raises:
        UserError: a coordinate is not finite.
    """
    return rasterize_crossings(polygons, window, size)


def polygon_window(polygons: Polygons, size: Size) -> Window:
    """A window that holds all pixels of the polygons in a frame of `size`; zeros if there are none."""
    rings = [ring for ring in polygons.rings if len(ring)]
    if not rings:
        return 0, 0, 0, 0
    corners = np.concatenate([_fine_ring(ring) for ring in rings]) / _FINE
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    height, width = size
    x1, y1 = max(floor(left), 0), max(floor(top), 0)
    x2, y2 = min(ceil(right), width), min(ceil(bottom), height)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else (0, 0, 0, 0)


def polygon_to_rle(polygons: Polygons, size: Size) -> RLE:
    """Run lengths of the union of all rings, equal to pycocotools'."""
    window = polygon_window(polygons, size)
    return encode_rle_crop(rasterize_polygons(polygons, window, size), window, size)


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
    height, width = bitmap.shape
    grid = np.zeros((2 * height + 3, 2 * width + 3), np.uint8)
    for dy in range(3):
        for dx in range(3):
            grid[1 + dy : 1 + dy + 2 * height : 2, 1 + dx : 1 + dx + 2 * width : 2] |= (bitmap != 0).astype(np.uint8)
    return grid
