"""Annotations as COCO means them: polygons of numbers, a box, no crowd, no keypoints. Nearly all of a large file are.

One by one, as Python objects, a million of them take minutes and gigabytes. They are packed as they are parsed, and
judged together by the rules of `coco_objects.py`; whatever is not found faultless here is read again there, where
faults get their names.
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Collection, Mapping
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maskrcnn.data.coco_masks import LARGEST_COORDINATE
from maskrcnn.data.coco_objects import DISAGREEMENT_IOU, DISAGREEMENT_PIXELS, OUTSIDE_PIXELS
from maskrcnn.masks.polygon_crossings import FINE
from maskrcnn.structures.labels import LabelStore, MaskKind, StoreBuilder, of_classes
from maskrcnn.structures.masks import BoolArray, Float32Array, FloatArray, IntArray

_NUMBERS = frozenset((float, int))
_LARGEST_NUMBER = 2.0**62
_BLOCK = 1 << 14
"""Objects that are packed and judged together."""
_IN_MEMORY = 1 << 24
"""Bytes of points; more wait in a temporary file, since what the reader makes of them is as large again."""


class PlainObjects:
    """Plain annotations in the order of the file; the place of each in it is in `places`."""

    def __init__(self) -> None:
        self.places = array("q")
        self._boxes, self._areas, self._extents = array("d"), array("d"), array("d")
        self._first_ring, self._first_point = array("q", [0]), array("q", [0])
        self._points, self._packed = array("d"), 0  # of the objects from `_packed` on
        self._spool = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  (open as long as this is in use)

    def __del__(self) -> None:
        self._spool.close()

    def __len__(self) -> int:
        return len(self.places)

    def take(self, place: int, entry: Mapping[str, Any]) -> None:
        """Pack an annotation if it is plain."""
        rings, box, area = entry.get("segmentation"), entry.get("bbox"), entry.get("area", math.nan)
        if type(rings) is not list or not rings or type(box) is not list or len(box) != 4:
            return
        if type(area) not in _NUMBERS or not _NUMBERS.issuperset(map(type, box)):
            return
        if entry.get("iscrowd", 0) != 0 or entry.get("keypoints") or not self._take_rings(rings):
            return
        try:
            self._areas.append(area)
            self._boxes.fromlist(box)
        except OverflowError:  # a whole number of hundreds of digits
            del self._areas[len(self.places) :]
            self._drop_rings()
            return
        self._first_ring.append(len(self._first_point) - 1)
        self.places.append(place)
        if len(self.places) - self._packed == _BLOCK:
            self._pack()

    def _take_rings(self, rings: list[Any]) -> bool:
        points, first, before = self._points, self._first_point, self._first_point[self._first_ring[self._packed]]
        for ring in rings:
            if type(ring) is not list or len(ring) < 6 or len(ring) % 2:
                break
            try:
                points.fromlist(ring)
            except (TypeError, OverflowError):
                break
            first.append(before + len(points) // 2)
        else:
            return True
        self._drop_rings()
        return False

    def _drop_rings(self) -> None:
        del self._first_point[self._first_ring[-1] + 1 :]
        del self._points[2 * (self._first_point[-1] - self._first_point[self._first_ring[self._packed]]) :]

    def _pack(self) -> None:
        """Take down where the newest objects lie, and put their points away."""
        rings = self._first_ring[self._packed :]
        if len(rings) > 1:
            first = np.array([self._first_point[ring] for ring in rings[:-1]])
            extents = _extents(_rows(self._points, 2), first - first[0])
            self._extents.frombytes(extents.tobytes())
            self._spool.seek(0, os.SEEK_END)
            self._spool.write(self._points.tobytes())
            self._points, self._packed = array("d"), len(self)

    def judged(self, sizes: IntArray) -> tuple[BoolArray, Float32Array]:
        """(n,) whether each is faultless, and (n, 4) its box x1, y1, x2, y2 inside the image.

        Args:
            sizes: (n, 2) height and width of each one's image; 0 where there is none.
        """
        self._pack()
        good, boxes = np.zeros(len(self), dtype=bool), np.zeros((len(self), 4), dtype=np.float32)
        counts = np.diff(np.asarray(self._first_point)[np.asarray(self._first_ring)])
        extents, stated, areas = _rows(self._extents, 4), _rows(self._boxes, 4), np.asarray(self._areas)
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, len(self), _BLOCK):
                part = slice(start, start + _BLOCK)
                good[part], boxes[part] = _judged(extents[part], stated[part], sizes[part])
                good[part] &= (counts[part] <= FINE * sizes[part, 0]) & ~(np.abs(areas[part]) > _LARGEST_NUMBER)
        return good, boxes

    def points(self, start: int, stop: int) -> Tensor:
        """(stop - start, 2) x, y, counted over all objects."""
        self._spool.seek(16 * start)
        return torch.from_numpy(np.frombuffer(bytearray(self._spool.read(16 * (stop - start)))).reshape(-1, 2))

    def store(
        self, annotation_ids: IntArray, labels: IntArray, boxes: Float32Array, stuff: Collection[int]
    ) -> LabelStore:
        """All of them as objects without images and points, with what else there is to say of each (n,)."""
        count = len(self)
        nothing, none = torch.zeros(1, dtype=torch.int64).expand(count + 1), torch.zeros(1, dtype=torch.bool)
        columns = (self._boxes, self._areas, self._first_ring, self._first_point)
        stated, areas, first_ring, first_point = (torch.from_numpy(np.asarray(column)) for column in columns)
        return replace(
            StoreBuilder().build(),
            annotation_ids=torch.from_numpy(annotation_ids),
            labels=(own := torch.from_numpy(labels)),
            boxes=torch.from_numpy(boxes),
            stated_boxes=stated.view(-1, 4),
            areas=areas,
            ignore=none.expand(count),
            stuff=of_classes(own, stuff),
            mask_kinds=torch.tensor([int(MaskKind.POLYGONS)], dtype=torch.uint8).expand(count),
            first_ring=first_ring,
            first_point=first_point,
            first_run=nothing,
            first_keypoint=nothing,
        )


def _judged(extents: FloatArray, stated: FloatArray, sizes: IntArray) -> tuple[BoolArray, FloatArray]:
    """What `read_object` says of masks that span `extents` and of boxes x, y, width, height: (n,), and (n, 4).

    Every condition is one that has to hold, so that NaN is no good.
    """
    limits = sizes[:, [1, 0, 1, 0]].astype(np.float64)
    corners = np.concatenate([stated[:, :2], stated[:, :2] + stated[:, 2:]], axis=1)
    seen, boxes = np.clip(extents, 0, limits), np.clip(corners, 0, limits)
    outside = np.concatenate([-corners[:, :2], corners[:, 2:] - limits[:, 2:]], axis=1)
    good = (np.abs(extents) <= LARGEST_COORDINATE).all(axis=1) & (np.abs(stated) <= _LARGEST_NUMBER).all(axis=1)
    good &= (stated[:, 2:] > 0).all(axis=1) & _have_size(seen) & _have_size(boxes) & _agree(corners, seen)
    good &= (outside <= OUTSIDE_PIXELS).all(axis=1)
    good &= (extents[:, 2:] > 1).any(axis=1)  # pixels, and no fractions of the image's sides
    return good, boxes


def _agree(a: FloatArray, b: FloatArray) -> BoolArray:
    """As `coco_objects` compares two boxes, of each pair."""
    near = (np.abs(a - b) <= DISAGREEMENT_PIXELS).all(axis=1)
    overlap = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0).prod(axis=1)
    union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - overlap
    return np.asarray(near | (overlap >= DISAGREEMENT_IOU * union))


def _have_size(boxes: FloatArray) -> BoolArray:
    return np.asarray((boxes[:, :2] < boxes[:, 2:]).all(axis=1))


def _extents(points: FloatArray, first: IntArray) -> FloatArray:
    """(g, 4) x1, y1, x2, y2 around the points of each object, which begin at `first`."""
    low, high = np.minimum.reduceat(points, first, axis=0), np.maximum.reduceat(points, first, axis=0)
    return np.concatenate([low, high], axis=1)


def _rows(column: array[float], width: int) -> FloatArray:
    return np.asarray(column).reshape(-1, width)
