from __future__ import annotations

import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
import torch.multiprocessing  # registers how tensors are shared

from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import rle_area, rle_window
from maskrcnn.masks.rle_crops import crop_rle
from maskrcnn.structures import RLE, Polygons
from maskrcnn.structures.labels import ImageEntry, LabelStore, ObjectEntry, StoreBuilder

BOX = (1.0, 2.0, 3.5, 4.25)
KEYPOINTS = np.array([[1.5, 2.5, 2], [0, 0, 0]])


def polygon(*rings: list[list[float]]) -> Polygons:
    return Polygons(tuple(np.array(ring, np.float64) for ring in rings))


@pytest.fixture
def store() -> LabelStore:
    builder = StoreBuilder()
    builder.add_image(ImageEntry(30, "ä/1.png", (4, 5)), [])
    two_rings = polygon([[0.1, 0], [2, 0], [2, 2.5]], [[3, 3], [4, 3], [4, 4], [3, 4]])
    objects = [
        ObjectEntry(7, 1, BOX, two_rings, ignore=False, keypoints=KEYPOINTS),
        ObjectEntry(5, 0, BOX, RLE((4, 5), np.array([3, 2, 15])), ignore=True),
        ObjectEntry(6, 2, BOX, None, ignore=True),
    ]
    builder.add_image(ImageEntry(-2, "b.png", (4, 5)), iter(objects))
    last = ObjectEntry(8, 0, BOX, polygon([[1, 1], [2, 1], [2, 2]]), ignore=False, keypoints=KEYPOINTS[:1])
    builder.add_image(ImageEntry(2**40, "c.png", (2, 9)), [last])
    return builder.build()


def test_images_come_back(store: LabelStore) -> None:
    assert len(store) == 3
    assert store.image_ids.tolist() == [30, -2, 2**40]
    assert [store.file_name(i) for i in range(3)] == ["ä/1.png", "b.png", "c.png"]
    assert [store.size(i) for i in range(3)] == [(4, 5), (4, 5), (2, 9)]


def test_objects_come_back(store: LabelStore) -> None:
    assert [store.objects(i) for i in range(3)] == [range(0), range(3), range(3, 4)]
    assert store.num_objects == 4
    assert store.annotation_ids.tolist() == [7, 5, 6, 8]
    assert store.labels.tolist() == [1, 0, 2, 0]
    assert store.ignore.tolist() == [False, True, True, False]
    assert store.boxes.tolist() == [list(BOX)] * 4


def test_masks_come_back(store: LabelStore) -> None:
    first, rle, none, last = (store.mask(number, (4, 5)) for number in range(4))
    assert isinstance(first, Polygons) and isinstance(last, Polygons) and isinstance(rle, RLE) and none is None
    assert [ring.tolist() for ring in first.rings] == [[[0.1, 0], [2, 0], [2, 2.5]], [[3, 3], [4, 3], [4, 4], [3, 4]]]
    assert [ring.tolist() for ring in last.rings] == [[[1, 1], [2, 1], [2, 2]]]
    assert rle.size == (4, 5) and rle.counts.tolist() == [3, 2, 15] and rle.counts.dtype == np.int64


@pytest.mark.parametrize("start", [2**31 - 2, 2**31 - 1, 2**31, 2**32 - 7])
def test_runs_of_huge_images_come_back(start: int) -> None:
    """Longer than 32 bits with a sign can say, in the largest frame."""
    size = (2, 2**31 - 1)
    rle, builder = RLE(size, np.array([start, 4, size[0] * size[1] - start - 4])), StoreBuilder()
    builder.add_image(ImageEntry(1, "a.tif", size), [ObjectEntry(1, 0, BOX, rle, ignore=False)])
    mask = builder.build().mask(0, size)
    assert isinstance(mask, RLE)
    assert (rle_area(mask), rle_window(mask)) == (4, rle_window(rle))
    assert mask.counts.sum() == size[0] * size[1]
    assert mask.counts.max() < 2**31
    assert PackedRLE.from_rles([mask], size).windows.tolist() == [list(rle_window(rle))]
    x1, y1, x2, y2 = rle_window(rle)
    assert (crop_rle(mask, (x1, y1, x2, y2)) == crop_rle(rle, (x1, y1, x2, y2))).all()


def test_keypoints_come_back(store: LabelStore) -> None:
    first, *none, last = (store.keypoints_of(number) for number in range(4))
    np.testing.assert_array_equal(first, KEYPOINTS)
    np.testing.assert_array_equal(last, KEYPOINTS[:1])
    assert none == [None, None]


def test_empty_store() -> None:
    store = StoreBuilder().build()
    assert store.keypoints.shape == (0, 3)
    assert len(store) == store.num_objects == 0
    assert store.boxes.shape == (0, 4) and store.image_sizes.shape == (0, 2)


def test_there_is_no_python_object_per_label() -> None:
    """Ten thousand objects: twenty tensors and the bytes of their numbers, pickled and in memory."""
    builder = StoreBuilder()
    ring = polygon([[0, 0], [2, 0], [2, 2], [0, 2]])
    for number in range(1000):
        objects = [ObjectEntry(number * 10 + i, 0, BOX, ring, ignore=False) for i in range(10)]
        builder.add_image(ImageEntry(number, f"{number:06}.png", (4, 5)), objects)
    store = builder.build()
    assert all(isinstance(value, torch.Tensor) for value in vars(store).values())
    num_bytes = sum(tensor.nbytes for tensor in vars(store).values())
    # 4 points, a box twice, an area, a label, an id, flags, offsets: 169 bytes an object; 51 an image
    assert num_bytes < 10_000 * 173 + 1000 * 60
    assert len(pickle.dumps(store)) < num_bytes + 20_000


def test_workers_share_the_memory(store: LabelStore) -> None:
    """What is sent to a spawned worker is a handle and not a copy."""
    sent = ForkingPickler.dumps(store)
    assert all(value.is_shared() for value in vars(store).values() if value.numel())
    assert pickle.loads(sent).labels.data_ptr() != 0
