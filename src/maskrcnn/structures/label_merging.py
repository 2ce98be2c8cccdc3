"""The objects of several stores as those of one, in an order of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from maskrcnn.structures.labels import LabelStore
from maskrcnn.structures.masks import IntArray

_FLAT = ("annotation_ids", "labels", "boxes", "stated_boxes", "areas", "ignore", "stuff", "mask_kinds")
"""One row an object."""

_BLOCK = 1 << 13
"""Objects that are moved together, so that what is needed for it stays small beside the labels."""


Read = Callable[[int, int], Tensor]
"""Gets values from one number up to another."""


@dataclass(frozen=True)
class Part:
    """Objects of the result.

    Attributes:
        store: they are in this one; its images do not count.
        numbers: (g,) of each in the result; -1 leaves it out.
        points: where its points come from; None: from the store.
    """

    store: LabelStore
    numbers: IntArray
    points: Read | None = None


def merged(images: LabelStore, first_object: IntArray, parts: Sequence[Part]) -> LabelStore:
    """The images of a store with the objects of all parts.

    Args:
        images: N images; what objects it has do not count.
        first_object: (N + 1,) where the objects of each image begin in the result.
        parts: at least one.
    """
    count = int(first_object[-1])
    columns = {name: _empty(getattr(images, name), count) for name in _FLAT}
    for part in parts:
        for name, column in columns.items():
            _place_rows(column, getattr(part.store, name), part.numbers)
    ring_sizes, first_ring = _moved(
        images.first_ring, count, parts, lambda own: (_of(own.store.first_point.diff()), own.store.first_ring)
    )
    points, _ = _moved(
        images.points, count, parts, lambda own: (own.points or _of(own.store.points), _first_points(own.store))
    )
    runs, first_run = _moved(images.runs, count, parts, lambda own: (_of(own.store.runs), own.store.first_run))
    keypoints, first_keypoint = _moved(
        images.keypoints, count, parts, lambda own: (_of(own.store.keypoints), own.store.first_keypoint)
    )
    return replace(
        images,
        first_object=torch.from_numpy(first_object),
        **columns,
        first_ring=first_ring,
        first_point=_offsets(ring_sizes.numpy()),
        points=points,
        runs=runs,
        first_run=first_run,
        keypoints=keypoints,
        first_keypoint=first_keypoint,
    )


def _place_rows(target: Tensor, source: Tensor, numbers: IntArray) -> None:
    for start in range(0, len(numbers), _BLOCK):
        block = torch.from_numpy(numbers[start : start + _BLOCK])
        target[block[block >= 0]] = source[start : start + _BLOCK][block >= 0]


def _moved(
    like: Tensor, count: int, parts: Sequence[Part], several: Callable[[Part], tuple[Read, Tensor]]
) -> tuple[Tensor, Tensor]:
    """What objects have several of, in the order of the result's `count` objects, and where each object's begin.

    `several` gives them of a part, with (g + 1,) where those of each of its objects begin.
    """
    sizes = np.zeros(count, np.int64)
    for part in parts:
        sizes[part.numbers[part.numbers >= 0]] = several(part)[1].diff().numpy()[part.numbers >= 0]
    begins = _offsets(sizes)
    values = _empty(like, int(begins[-1]))
    for part in parts:
        read, first = several(part)
        for start in range(0, len(part.numbers), _BLOCK):
            numbers = part.numbers[start : start + _BLOCK]
            own = first.numpy()[start : start + len(numbers) + 1]
            _move(values, read(int(own[0]), int(own[-1])), own - own[0], begins.numpy(), numbers)
    return values, begins


def _move(target: Tensor, source: Tensor, first: IntArray, begins: IntArray, numbers: IntArray) -> None:
    sizes = np.diff(first)
    kept = np.repeat(numbers >= 0, sizes)
    places = np.arange(len(source))[kept]
    target[torch.from_numpy(places + np.repeat(begins[numbers] - first[:-1], sizes)[kept])] = source[
        torch.from_numpy(places)
    ]


def _of(values: Tensor) -> Read:
    return lambda start, stop: values[start:stop]


def _first_points(store: LabelStore) -> Tensor:
    """(G + 1,) where the points of each object begin."""
    return store.first_point[store.first_ring]


def _offsets(sizes: IntArray) -> Tensor:
    return torch.from_numpy(np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]))


def _empty(like: Tensor, count: int) -> Tensor:
    return torch.empty((count, *like.shape[1:]), dtype=like.dtype)
