from __future__ import annotations

import numpy as np
import torch

from maskrcnn.structures import RLE, Polygons
from maskrcnn.structures.label_merging import Part, merged
from maskrcnn.structures.labels import ImageEntry, LabelStore, ObjectEntry, StoreBuilder

SIZE = (4, 5)


def entry(number: int) -> ObjectEntry:
    """Polygons of one or two rings, run lengths, or a box alone; some with keypoints."""
    rings = tuple(np.arange(6.0 + 2 * part).reshape(-1, 2) + number for part in range(1 + number % 2))
    masks = (Polygons(rings), RLE(SIZE, np.array([number, 2, 18 - number])), None)
    keypoints = np.full((2, 3), float(number)) if number % 2 else None
    return ObjectEntry(number, number % 3, (0, 0, number + 1.0, 2), masks[number % 3], number % 4 == 0, keypoints)


def store(*images: list[int]) -> LabelStore:
    builder = StoreBuilder()
    for number, objects in enumerate(images):
        builder.add_image(ImageEntry(number + 7, f"{number}.png", SIZE), map(entry, objects))
    return builder.build([1])


def assert_same(a: LabelStore, b: LabelStore) -> None:
    for name, column in vars(a).items():
        other = getattr(b, name)
        assert column.dtype == other.dtype and torch.equal(column.nan_to_num(-1), other.nan_to_num(-1)), name


def test_objects_of_two_stores_come_in_the_order_wanted() -> None:
    first, second = store([], [3, 0, 5, 6], []), store([2], [1, 4], [7])
    parts = [Part(first, np.array([3, 0, -1, 5])), Part(second, np.array([1, 2, 4, -1]))]
    assert_same(merged(second, np.array([0, 2, 5, 6]), parts), store([0, 2], [1, 3, 4], [6]))


def test_points_may_come_from_elsewhere() -> None:
    whole = store([3, 0, 6])
    points, asked = whole.points, []

    def read(start: int, stop: int) -> torch.Tensor:
        asked.append((start, stop))
        return points[start:stop]

    bare = store([3, 0, 6])
    bare.points.resize_(0, 2)
    assert_same(merged(bare, np.array([0, 3]), [Part(bare, np.array([2, 0, 1]), read)]), store([0, 6, 3]))
    assert asked == [(0, len(points))]


def test_nothing_left_is_an_empty_store() -> None:
    part = Part(store([3, 0], []), np.array([-1, -1]))
    assert_same(merged(part.store, np.array([0, 0, 0]), [part]), store([], []))
