"""A detector that is never wrong: each object of a drawn image has a colour of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import Window, encode_rle
from maskrcnn.masks.rle_crops import encode_rle_crop
from maskrcnn.prediction import Prediction
from maskrcnn.structures import Categories

CATEGORIES = Categories((1,), ("thing",))


@dataclass
class Drawn:
    """An image of numbered objects, 0 where there is none."""

    numbers: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        return self.numbers.shape[0], self.numbers.shape[1]

    def read(self, window: Window) -> np.ndarray:
        x1, y1, x2, y2 = window
        part = self.numbers[y1:y2, x1:x2].astype(np.uint32)
        return np.stack([part & 255, part >> 8 & 255, part >> 16], axis=2).astype(np.uint8)


def find_colours(pictures: Iterable[np.ndarray], jitter: float = 0.0, seed: int = 0) -> Iterator[Prediction]:
    """Every colour but black is an object; boxes are off by up to `jitter` pixels, scores are drawn."""
    rng = np.random.default_rng(seed)
    for picture in pictures:
        numbers = picture.astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)
        rles, boxes = [], []
        all_ys, all_xs = np.nonzero(numbers)
        order = np.argsort(numbers[all_ys, all_xs], kind="stable")
        values, starts = np.unique(numbers[all_ys, all_xs][order], return_index=True)
        for number, places in zip(values.tolist(), np.split(order, starts[1:]), strict=False):
            ys, xs = all_ys[places], all_xs[places]
            window = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
            x1, y1, x2, y2 = window
            rles.append(encode_rle_crop((numbers[y1:y2, x1:x2] == number).astype(np.uint8), window, numbers.shape))
            boxes.append(window)
        order = np.argsort(-(scores := rng.uniform(0.5, 1, len(boxes))))
        exact = np.array(boxes, np.float64).reshape(-1, 4)
        reach = np.tile(np.minimum((exact[:, 2:] - exact[:, :2]) / 4, jitter), 2)
        boxes_ = (exact + rng.uniform(-1, 1, exact.shape) * reach).clip(0, len(picture))
        yield Prediction(
            boxes=boxes_[order].astype(np.float32),
            scores=scores[order].astype(np.float32),
            labels=np.zeros(len(boxes), np.int64),
            image_size=picture.shape[:2],
            categories=CATEGORIES,
            source=picture,
            given_masks=PackedRLE.from_rles((rles[i] for i in order.tolist()), picture.shape[:2]),
        )


def masks_of(numbers: np.ndarray) -> list[tuple[int, ...]]:
    """The run lengths of every object, sorted."""
    found = (encode_rle((numbers == number).astype(np.uint8)) for number in np.unique(numbers[numbers > 0]))
    return sorted(tuple(rle.counts.tolist()) for rle in found)
