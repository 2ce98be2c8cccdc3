"""LabelStore: the labels of a whole data set in a dozen flat arrays.

A million annotations as Python objects take gigabytes, and every worker process copies them as soon as it touches
their reference counts. Flat torch tensors hold the same in a fraction, and torch's workers share their memory whether
they are forked or spawned. Masks are packed as polygon points and run lengths and drawn per image, when needed.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maskrcnn.structures import RLE, Polygons, Size
from maskrcnn.structures.masks import FloatArray, short_runs


class MaskKind(IntEnum):
    """How the mask of an object is stored."""

    NONE = 0
    POLYGONS = 1
    RLE = 2


@dataclass(frozen=True)
class ImageEntry:
    """One image of a data set.

    Attributes:
        image_id: the data set's id.
        file_name: relative to the folder of images.
        size: (height, width) its labels refer to.
        group: number of the group of images it belongs to, 0 where groups are not told apart.
    """

    image_id: int
    file_name: str
    size: Size
    group: int = 0


@dataclass(frozen=True)
class ObjectEntry:
    """One annotation of an image, in the `original` frame.

    Attributes:
        annotation_id: the data set's id.
        label: 0..K-1.
        box: x1, y1, x2, y2 in continuous pixels.
        mask: polygons or run lengths; None for an object that is known by its box alone.
        ignore: a region that is neither object nor background: a crowd, or an object without a usable mask.
        keypoints: (P, 3) x, y, visibility, 0 where not labelled; None where none is labelled.
        stated_box: COCO's x, y, width, height as the annotation states it; None: the same as `box`.
        area: in pixels, as the annotation states it; NaN where it does not.
    """

    annotation_id: int
    label: int
    box: tuple[float, float, float, float]
    mask: Polygons | RLE | None
    ignore: bool
    keypoints: FloatArray | None = None
    stated_box: tuple[float, float, float, float] | None = None
    area: float = math.nan


@dataclass(frozen=True)
class LabelStore:
    """N images with G objects; image i owns the objects first_object[i] up to first_object[i + 1].

    Attributes:
        image_ids: (N,) int64.
        image_sizes: (N, 2) int64 (height, width).
        groups: (N,) int64, the number of each image's group.
        names: uint8 UTF-8 bytes of all file names; image i owns first_name_byte[i] up to first_name_byte[i + 1].
        first_name_byte: (N + 1,) int64.
        first_object: (N + 1,) int64.
        annotation_ids: (G,) int64.
        labels: (G,) int64.
        boxes: (G, 4) float32 x1, y1, x2, y2 in the `original` frame.
        stated_boxes: (G, 4) float64 x, y, width, height: what COCO's metrics compare, not cut at the border.
        areas: (G,) float64 pixels, NaN where none is stated: what COCO's metrics call small, medium and large.
        ignore: (G,) bool.
        stuff: (G,) bool, whether the class is stuff: what then lies here is no object, and no region to ignore either.
        mask_kinds: (G,) uint8, each a `MaskKind`.
        first_ring: (G + 1,) int64; object g owns the rings first_ring[g] up to first_ring[g + 1].
        first_point: (R + 1,) int64; ring r owns the points first_point[r] up to first_point[r + 1].
        points: (T, 2) float64 (x, y): pixels on edges would change with less precision.
        first_run: (G + 1,) int64; object g owns the runs first_run[g] up to first_run[g + 1].
        runs: int32 run lengths (a longer one has an empty one inside), plain: unpacking a compressed string for every
            sample would cost more time than the few bytes are worth.
        first_keypoint: (G + 1,) int64; object g owns the rows first_keypoint[g] up to first_keypoint[g + 1], one for
            each keypoint of its class, or none.
        keypoints: (Q, 3) float64 x, y, visibility.
    """

    image_ids: Tensor
    image_sizes: Tensor
    groups: Tensor
    names: Tensor
    first_name_byte: Tensor
    first_object: Tensor
    annotation_ids: Tensor
    labels: Tensor
    boxes: Tensor
    stated_boxes: Tensor
    areas: Tensor
    ignore: Tensor
    stuff: Tensor
    mask_kinds: Tensor
    first_ring: Tensor
    first_point: Tensor
    points: Tensor
    first_run: Tensor
    runs: Tensor
    first_keypoint: Tensor
    keypoints: Tensor

    def __len__(self) -> int:
        return len(self.image_ids)

    def first(self, count: int) -> LabelStore:
        """The first `count` images alone, in the same memory."""
        count = min(count, len(self))
        objects = int(self.first_object[count])
        rings, keypoints = int(self.first_ring[objects]), int(self.first_keypoint[objects])
        kept = {
            **dict.fromkeys(("image_ids", "image_sizes", "groups"), count),
            **dict.fromkeys(("first_name_byte", "first_object"), count + 1),
            **dict.fromkeys(("annotation_ids", "labels", "boxes", "stated_boxes", "areas"), objects),
            **dict.fromkeys(("ignore", "stuff", "mask_kinds"), objects),
            **dict.fromkeys(("first_ring", "first_run", "first_keypoint"), objects + 1),
            "names": int(self.first_name_byte[count]),
            "first_point": rings + 1,
            "points": int(self.first_point[rings]),
            "runs": int(self.first_run[objects]),
            "keypoints": keypoints,
        }
        return replace(self, **{name: getattr(self, name)[:end] for name, end in kept.items()})

    @property
    def num_objects(self) -> int:
        """G, ignored regions and stuff included."""
        return len(self.labels)

    @property
    def is_object(self) -> Tensor:
        """(G,) bool, which of them are objects to learn from and to find: neither ignored nor stuff."""
        return ~(self.ignore | self.stuff)

    def size(self, image: int) -> Size:
        """(height, width) the labels of an image refer to."""
        height, width = self.image_sizes[image].tolist()
        return height, width

    def file_name(self, image: int) -> str:
        """File name relative to the folder of images."""
        start, end = self.first_name_byte[image : image + 2].tolist()
        return self.names[start:end].numpy().tobytes().decode()

    @property
    def file_names(self) -> list[str]:
        """Of all images."""
        return [self.file_name(image) for image in range(len(self))]

    def objects(self, image: int) -> range:
        """The numbers of an image's objects."""
        start, end = self.first_object[image : image + 2].tolist()
        return range(start, end)

    def are_objects(self, image: int) -> Tensor:
        """`is_object` of what lies in an image."""
        own = self.objects(image)
        part = slice(own.start, own.stop)
        return ~(self.ignore[part] | self.stuff[part])

    def mask(self, number: int, size: Size) -> Polygons | RLE | None:
        """The mask of an object, in the `original` frame of an image of `size`."""
        kind = int(self.mask_kinds[number])
        if kind == MaskKind.RLE:
            start, end = self.first_run[number : number + 2].tolist()
            return RLE(size, self.runs[start:end].numpy().astype(np.int64))
        if kind == MaskKind.POLYGONS:
            start, end = self.first_ring[number : number + 2].tolist()
            bounds = self.first_point[start : end + 1].tolist()
            points = self.points.numpy()
            return Polygons(tuple(points[a:b] for a, b in pairwise(bounds)))
        return None

    def keypoints_of(self, number: int) -> FloatArray | None:
        """(P, 3) x, y, visibility of an object in the `original` frame; None where none is labelled."""
        start, end = self.first_keypoint[number : number + 2].tolist()
        return self.keypoints[start:end].numpy() if start < end else None


class StoreBuilder:
    """Collects images, each followed by its objects, and packs them into a `LabelStore`.

    Everything goes straight into typed arrays, so that building needs no more memory than the result.
    """

    def __init__(self) -> None:
        self._columns: dict[str, array[Any]] = {name: array(code) for name, code in _TYPE_CODES.items()}
        for name, column in self._columns.items():
            if name.startswith("first_"):
                column.append(0)

    def add_image(self, entry: ImageEntry, objects: Iterable[ObjectEntry]) -> None:
        """Append an image with its objects."""
        columns = self._columns
        for item in objects:
            self._add_object(item)
        columns["image_ids"].append(entry.image_id)
        columns["image_sizes"].extend(entry.size)
        columns["groups"].append(entry.group)
        columns["names"].frombytes(entry.file_name.encode())
        columns["first_name_byte"].append(len(columns["names"]))
        columns["first_object"].append(len(columns["labels"]))

    def build(self, stuff: Collection[int] = ()) -> LabelStore:
        """The finished store; `stuff` has the labels of the classes that are."""
        packed = {name: _tensor(self._columns.pop(name)) for name in _TYPE_CODES}
        for name, width in (("image_sizes", 2), ("boxes", 4), ("stated_boxes", 4), ("points", 2), ("keypoints", 3)):
            packed[name] = packed[name].view(-1, width)
        packed["ignore"] = packed["ignore"].bool()
        return LabelStore(**packed, stuff=of_classes(packed["labels"], stuff))

    def _add_object(self, entry: ObjectEntry) -> None:
        columns = self._columns
        columns["annotation_ids"].append(entry.annotation_id)
        columns["labels"].append(entry.label)
        columns["boxes"].extend(entry.box)
        x1, y1, x2, y2 = entry.box
        columns["stated_boxes"].extend(entry.stated_box or (x1, y1, x2 - x1, y2 - y1))
        columns["areas"].append(entry.area)
        columns["ignore"].append(entry.ignore)
        columns["mask_kinds"].append(self._add_mask(entry.mask))
        columns["first_ring"].append(len(columns["first_point"]) - 1)
        columns["first_run"].append(len(columns["runs"]))
        if entry.keypoints is not None:
            columns["keypoints"].frombytes(entry.keypoints.astype(np.float64).tobytes())
        columns["first_keypoint"].append(len(columns["keypoints"]) // 3)

    def _add_mask(self, mask: Polygons | RLE | None) -> MaskKind:
        columns = self._columns
        if mask is None:
            return MaskKind.NONE
        if isinstance(mask, RLE):
            columns["runs"].frombytes(short_runs(mask.counts).astype(np.int32).tobytes())
            return MaskKind.RLE
        for ring in mask.rings:
            columns["points"].frombytes(ring.astype(np.float64).tobytes())
            columns["first_point"].append(len(columns["points"]) // 2)
        return MaskKind.POLYGONS


_TYPE_CODES = {
    "image_ids": "q",
    "image_sizes": "q",
    "groups": "q",
    "names": "B",
    "first_name_byte": "q",
    "first_object": "q",
    "annotation_ids": "q",
    "labels": "q",
    "boxes": "f",
    "stated_boxes": "d",
    "areas": "d",
    "ignore": "B",
    "mask_kinds": "B",
    "first_ring": "q",
    "first_point": "q",
    "points": "d",
    "first_run": "q",
    "runs": "i",
    "first_keypoint": "q",
    "keypoints": "d",
}
"""The element types of the store's columns, in `array.array`'s letters."""


def of_classes(labels: Tensor, classes: Collection[int]) -> Tensor:
    """(G,) bool, which of the labels (G,) are among the classes."""
    return torch.isin(labels, torch.tensor(sorted(classes), dtype=torch.int64))


def _tensor(column: array[Any]) -> Tensor:
    return torch.from_numpy(np.array(column))  # np.array understands the type letter, also of an empty column
