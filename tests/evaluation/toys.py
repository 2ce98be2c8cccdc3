"""Random small data sets with their results, and what pycocotools makes of them."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.evaluation import IouType
from maskrcnn.structures.masks import ByteArray

Toy = tuple[dict[str, Any], list[dict[str, Any]]]

SIZES = ((24, 30), (50, 40), (110, 120))
"""(height, width): the last holds objects of all three area ranges."""
AREA_EDGES = (0.0, 1023.5, 1024.0, 1024.5, 9216.0, 9216.5)


def rle(bitmap: ByteArray) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(bitmap))
    return {"size": list(bitmap.shape), "counts": encoded["counts"].decode()}


def plain_rle(bitmap: ByteArray) -> dict[str, Any]:
    flat = np.concatenate([[0], bitmap.flatten(order="F"), [2]])
    ends = np.flatnonzero(np.diff(flat))
    return {"size": list(bitmap.shape), "counts": np.diff(np.concatenate([[0], ends])).tolist()}


class ToyMaker:
    """Random small data sets with everything that is awkward: crowds, ties, gaps in ids, empty images and classes."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.size = SIZES[self.random.integers(len(SIZES))]
        self.tied_scores = self.random.random(4).round(1) if seed % 2 else None
        self.categories = [{"id": 5 * i + 2, "name": f"class {i}"} for i in range(int(self.random.integers(1, 4)))]
        self.images = [
            {"id": 7 * i, "height": self.size[0], "width": self.size[1]} for i in range(int(self.random.integers(1, 5)))
        ]

    def make(self) -> Toy:
        truths = [self.truth(image["id"]) for image in self.images for _ in range(self.random.choice([0, 1, 3, 8]))]
        found = [self.near(truth) for truth in truths for _ in range(self.random.choice([0, 1, 1, 2]))]
        found += [
            self.detection(image["id"], *self.rectangle())
            for image in self.images
            for _ in range(self.random.choice([0, 0, 2, 12]))
        ]
        self.random.shuffle(found)
        for number, truth in enumerate(truths, start=1):
            truth["id"] = number
            del truth["bitmap"]
        return {"images": self.images, "categories": self.categories, "annotations": truths}, found

    def truth(self, image_id: int) -> dict[str, Any]:
        bitmap, (x, y, w, h) = self.rectangle()
        crowd = bool(self.random.random() < 0.2)
        corners = [[float(v) for v in (x, y, x + w, y, x + w, y + h, x, y + h)]]
        form = 1 if crowd else int(self.random.integers(3))
        return {
            "image_id": image_id,
            "category_id": self.category(),
            "bbox": [float(v) for v in (x, y, w, h)],
            "area": float(self.random.choice(AREA_EDGES)) if self.random.random() < 0.3 else float(bitmap.sum()),
            "iscrowd": int(crowd),
            "segmentation": (rle(bitmap), plain_rle(bitmap), corners)[form],
            "bitmap": bitmap,
        }

    def near(self, truth: dict[str, Any]) -> dict[str, Any]:
        """The object, moved a little, sometimes called by another class."""
        dx, dy = (int(v) for v in self.random.integers(-2, 3, 2))
        x, y, w, h = truth["bbox"]
        bitmap = np.roll(truth["bitmap"], (dy, dx), (0, 1))
        detection = self.detection(truth["image_id"], bitmap, (x + dx + self.random.normal() / 2, y + dy, w, h))
        if self.random.random() < 0.9:
            detection["category_id"] = truth["category_id"]
        return detection

    def detection(self, image_id: int, bitmap: ByteArray, box: tuple[float, ...]) -> dict[str, Any]:
        score = self.random.random() if self.tied_scores is None else self.random.choice(self.tied_scores)
        return {
            "image_id": image_id,
            "category_id": self.category(),
            "bbox": [float(v) for v in box],
            "segmentation": rle(bitmap),
            "score": float(score),
        }

    def rectangle(self) -> tuple[ByteArray, tuple[int, int, int, int]]:
        """A bitmap with a rectangle, often with ragged pixels or of a side on the edge of an area range."""
        height, width = self.size
        w, h = (
            min(int(self.random.choice([1, 32, 96]) if self.random.random() < 0.3 else self.random.integers(1, s)), s)
            for s in (width, height)
        )
        x, y = int(self.random.integers(width - w + 1)), int(self.random.integers(height - h + 1))
        bitmap = np.zeros(self.size, np.uint8)
        bitmap[y : y + h, x : x + w] = 1
        if self.random.random() < 0.3:
            bitmap &= (self.random.random(self.size) < 0.9).astype(np.uint8)
            bitmap[y, x] = 1  # an object without a pixel would be none to the reader of labels
        return bitmap, (x, y, w, h)

    def category(self) -> int:
        return int(self.random.choice([category["id"] for category in self.categories]))


def pycocotools_arrays(
    toy: Toy, iou_type: IouType, limits: list[int], evaluation: type[COCOeval] = COCOeval
) -> dict[str, Any]:
    """`eval` of pycocotools; for masks the results have no bbox, since it would take the area from there."""
    truth, found = copy.deepcopy(toy)
    if iou_type == "mask":
        for detection in found:
            del detection["bbox"]
    with contextlib.redirect_stdout(io.StringIO()):
        dataset, results = COCO(), COCO()
        dataset.dataset, results.dataset = truth, {**truth, "annotations": []}
        dataset.createIndex()
        results.createIndex()
        evaluator = evaluation(
            dataset, dataset.loadRes(found) if found else results, {"mask": "segm", "box": "bbox"}[iou_type]
        )
        evaluator.params.maxDets = limits
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval
