"""What is read together is the same as what is read one by one: labels, faults, and their order."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from maskrcnn.data import coco_plain
from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.data.coco_plain import PlainObjects

WIDTH, HEIGHT = 31, 24
SQUARE = [4, 6, 12, 6, 12, 14, 4, 14]


def annotation(**changes: Any) -> dict[str, Any]:
    """A plain one of image 1; what is changed to None is not there."""
    entry = {"image_id": 1, "category_id": 1, "segmentation": [SQUARE], "bbox": [4, 6, 8, 8], "area": 64, "iscrowd": 0}
    return {name: value for name, value in (entry | changes).items() if value is not None}


PLAIN = [
    annotation(),
    annotation(iscrowd=None, area=None, keypoints=[], note="further fields"),
    annotation(segmentation=[SQUARE, [20.5, 1, 30, 1, 30, 7.25]], bbox=[4, 1, 26, 13]),
    annotation(bbox=[4.5, 6.25, 9.5, 8.0]),  # two pixels and less from the mask
    annotation(bbox=[1, 6, 11, 8]),  # three pixels from it, IoU 64 / 88
    annotation(segmentation=[[-3, 2, 40, 2, 40, 30, -3, 30]], bbox=[-0.75, 2, 31.75, 22.5]),  # cut at the border
    annotation(segmentation=[[0.1, 0.2, 1.5, 0.2, 1.5, 0.9]], bbox=[0.1, 0.2, 1.4, 0.7]),
    annotation(area=1e18, image_id=2, category_id=9),
]
OTHERS = [
    annotation(bbox=None),
    annotation(bbox=[4, 6, 0, 8]),
    annotation(bbox=[4, 6, True, 8]),
    annotation(bbox=["4", "6", "8", "8"]),
    annotation(bbox=[4, 6, float("nan"), 8]),
    annotation(bbox=[4, 6, float("inf"), 8]),
    annotation(bbox=[4, 6, 10**400, 8]),
    annotation(bbox=[4, 6, 8]),
    annotation(bbox=[20, 6, 8, 8]),  # elsewhere
    annotation(bbox=[0, 0, 12, 14], segmentation=[[5, 7, 7, 7, 7, 9]]),  # IoU 4 / 168
    annotation(segmentation=[[-3, 2, 40, 2, 40, 30, -3, 30]], bbox=[-3, 2, 43, 28]),  # outside by more than a pixel
    annotation(segmentation=[[50, 60, 70, 60, 70, 80]], bbox=[50, 60, 20, 20]),
    annotation(segmentation=[[50, 60, 70, 60, 70, 80]]),
    annotation(segmentation=[[4, 6, 4, 6, 4, 14]]),  # no width
    annotation(segmentation=[[0.1, 0.2, 0.5, 0.2, 0.5, 0.9]], bbox=[0.1, 0.2, 0.4, 0.7]),  # fractions
    annotation(segmentation=[[4, 6, 12, 6, float("nan"), 14]]),
    annotation(segmentation=[[4, 6, 12, 6, 1e10, 14]]),
    annotation(segmentation=[[4, 6, 12, 6, 10**400, 14]]),
    annotation(segmentation=[SQUARE, [4, 6, 12, 6, "12", 14]]),
    annotation(segmentation=[SQUARE, [4, 6, 12, 6, None, 14]]),
    annotation(segmentation=[SQUARE, [4, 6, 12, 6]]),
    annotation(segmentation=[SQUARE, [4, 6, 12, 6, 12, 14, 4]]),
    annotation(segmentation=SQUARE),
    annotation(segmentation=[[[4, 6], [12, 6], [12, 14]]]),
    annotation(segmentation=[]),
    annotation(segmentation="none"),
    annotation(segmentation=[[0, 0, WIDTH, HEIGHT, 0, HEIGHT, WIDTH, 0] * 40], bbox=[0, 0, WIDTH, HEIGHT]),
    annotation(segmentation=[[0, 0, WIDTH, HEIGHT, 0, HEIGHT, WIDTH, 0] * 4000], bbox=[0, 0, WIDTH, HEIGHT]),
    annotation(segmentation={"size": [HEIGHT, WIDTH], "counts": [100, 9, WIDTH * HEIGHT - 109]}, bbox=[4, 4, 1, 9]),
    annotation(area=float("inf")),
    annotation(area="64"),
    annotation(area=10**400),
    annotation(area=900),  # the mask has 64
    annotation(iscrowd=1),
    annotation(iscrowd="no"),
    annotation(keypoints=[5, 7, 2, 0, 0, 0], num_keypoints=1),
    annotation(keypoints=[5, 7, 2]),
    annotation(category_id=4),
    annotation(category_id="cell"),
    annotation(image_id=3),
    annotation(image_id=8),
    annotation(image_id=[1]),
    annotation(id="seven"),
    annotation(id=1.5),
    annotation(id=3),
    annotation(id=3),
    "no annotation",
    None,
]


def content(entries: list[Any]) -> dict[str, Any]:
    numbered = [{"id": n, **entry} if isinstance(entry, dict) else entry for n, entry in enumerate(entries)]
    images = [{"id": n, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for n in (2, 1, 5)]
    again = {"id": 4, "file_name": "1.png", "width": WIDTH, "height": HEIGHT}
    classes = [{"id": 9, "name": "dot"}, {"id": 1, "name": "cell", "keypoints": ["left", "right"]}]
    return {"images": [*images, again, {"id": 3}], "annotations": numbered, "categories": classes}


def read(entries: list[Any], **settings: Any) -> LabelledImages:
    return read_coco(copy.deepcopy(content(entries)), None, **settings)


def facts(data: LabelledImages) -> Any:
    columns = {name: (value.dtype, value.tolist()) for name, value in vars(data.labels).items()}
    return repr(columns), data.categories, data.report.lines, data.report.counts, repr(data.report.cases)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reads as if no annotation were plain."""

    def read_slowly(entries: list[Any], **settings: Any) -> LabelledImages:
        with monkeypatch.context() as context:
            context.setattr(PlainObjects, "take", lambda *_: None)
            return read(entries, **settings)

    return read_slowly


@pytest.mark.parametrize("entry", [*PLAIN, *OTHERS], ids=range(len(PLAIN) + len(OTHERS)))
def test_each_is_read_alike(one_by_one: Any, entry: Any) -> None:
    for settings in ({}, {"need_masks": False}, {"crowd": "object"}):
        assert facts(read([entry], **settings)) == facts(one_by_one([entry], **settings))


@pytest.mark.parametrize("seed", range(4))
def test_many_are_read_alike(one_by_one: Any, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """In any order, of images in any order, one of them listed twice, in several blocks and from a temporary file."""
    monkeypatch.setattr(coco_plain, "_BLOCK", 5)
    monkeypatch.setattr(coco_plain, "_IN_MEMORY", 500)
    generator = np.random.default_rng(seed)
    chosen = [copy.deepcopy(([*PLAIN] * 6 + OTHERS)[n]) for n in generator.permutation(6 * len(PLAIN) + len(OTHERS))]
    for entry in chosen:
        if isinstance(entry, dict) and entry["image_id"] == 1:
            entry["image_id"] = int(generator.choice([1, 2, 4, 5]))
    assert facts(read(chosen)) == facts(one_by_one(chosen))


@pytest.mark.parametrize("seed", range(3))
def test_boxes_near_every_limit_are_read_alike(one_by_one: Any, seed: int) -> None:
    generator = np.random.default_rng(seed)
    entries = []
    for _ in range(300):
        x, y = generator.integers(-8, 28, 2).tolist()
        width, height = generator.integers(1, 12, 2).tolist()
        shift = (generator.integers(-24, 25, 4) / 8).tolist()
        ring = [x, y, x + width, y, x + width, y + height]
        box = [value + moved for value, moved in zip((x, y, width, height), shift, strict=True)]
        entries.append(annotation(segmentation=[ring], bbox=box))
    assert facts(read(entries)) == facts(one_by_one(entries))


def test_plain_ones_are_packed_and_no_others() -> None:
    objects = PlainObjects()
    for place, entry in enumerate([*PLAIN, *OTHERS]):
        objects.take(place, entry if isinstance(entry, dict) else {})
    assert set(range(len(PLAIN))) <= set(objects.places)
    good, boxes = objects.judged(np.full((len(objects), 2), [HEIGHT, WIDTH]))
    assert good[: len(PLAIN)].all()
    assert boxes[5].tolist() == [0, 2, 31, 24] and boxes[3].tolist() == [4.5, 6.25, 14, 14.25]
    assert objects.points(4, 8).tolist() == [[4, 6], [12, 6], [12, 14], [4, 14]]
    assert not objects.judged(np.zeros((len(objects), 2), np.int64))[0].any()  # of no image


def test_nothing_is_packed_of_nothing() -> None:
    good, boxes = PlainObjects().judged(np.zeros((0, 2), np.int64))
    assert len(good) == 0 and boxes.shape == (0, 4)
    assert read([]).labels.num_objects == 0 and read([]).labels.points.dtype == torch.float64
