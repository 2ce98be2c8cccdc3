"""The masks of an image side by side: those to be found, and those that were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from maskrcnn.evaluation.compared import Compared
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.masks.rle_coco import LARGEST_LABELLED, packed_from_coco
from maskrcnn.structures import Size
from maskrcnn.structures.masks import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class SceneMasks:
    """n masks of one image.

    Attributes:
        numbers: (n,) ids in the content that is compared.
        labels: (n,) classes.
        masks: their pixels.
        areas: (n,) pixels, of true ones as the labels state them.
        scores: (n,) of what was found, best first; of true ones 1.
        ignored: (n,) regions that are neither right nor wrong to be found.
    """

    numbers: IntArray
    labels: IntArray
    masks: ColumnRuns
    areas: FloatArray
    scores: FloatArray
    ignored: BoolArray

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def windows(self) -> IntArray:
        """(n, 4) the tightest window around each mask, whole pixels x1, y1, x2, y2."""
        return self.masks.windows()

    @cached_property
    def pixels(self) -> IntArray:
        """(n,) of each mask."""
        return self.masks.areas()

    def __getitem__(self, chosen: IntArray | BoolArray) -> SceneMasks:
        places = np.arange(len(self))[chosen]
        return SceneMasks(
            self.numbers[places],
            self.labels[places],
            self.masks[places],
            self.areas[places],
            self.scores[places],
            self.ignored[places],
        )


@dataclass(frozen=True)
class Scene:
    """One image, or a part of one with very many objects.

    Attributes:
        image: its position in `truth.images`.
        size: (height, width).
        true: what is to be found, or ignored.
        found: what was found, best score first.
    """

    image: int
    size: Size
    true: SceneMasks
    found: SceneMasks

    def best(self, limit: int) -> Scene:
        """With at most so many found of a class, the best."""
        labels = self.found.labels
        order = np.argsort(labels, kind="stable")
        first = np.searchsorted(labels[order], labels[order])
        kept = np.zeros(len(labels), bool)
        kept[order] = np.arange(len(labels)) - first < limit
        return self if kept.all() else replace(self, found=self.found[kept])


def scenes(compared: Compared) -> Iterator[Scene]:
    """All images in order; one of very many objects in several parts, the others of which come at the end."""
    images = compared.truth.imgs
    for field, image in enumerate(compared.image_of.tolist()):
        size = images[field]["height"], images[field]["width"]
        true, found = (
            _masks_of(content.load_anns(content.get_ann_ids(img_ids=[field])), size)
            for content in (compared.truth, compared.found)
        )
        yield Scene(image, size, true, found[np.argsort(-found.scores, kind="stable")])


def _masks_of(entries: list[dict[str, Any]], size: Size) -> SceneMasks:
    def values(key: str, kind: type, default: float = 0) -> Any:
        return np.array([entry.get(key, default) for entry in entries], kind)

    return SceneMasks(
        values("id", np.int64),
        values("category_id", np.int64),
        ColumnRuns.from_packed(packed_from_coco([entry["segmentation"] for entry in entries], size, LARGEST_LABELLED)),
        values("area", np.float64),
        values("score", np.float64, 1),
        values("iscrowd", bool),
    )
