"""One answer for every pixel: objects where there are any, stuff in what is left (Kirillov et al. 2019, section 6)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskrcnn.errors import UserError
from maskrcnn.prediction import Prediction
from maskrcnn.text import one_line


@dataclass(frozen=True)
class Segment:
    """Pixels that belong together: an object, or all of a class of stuff.

    Attributes:
        number: what stands in the map, from 1.
        label: of its class, 0..K-1.
        area: pixels.
        score: of the object; None for stuff.
    """

    number: int
    label: int
    area: int
    score: float | None


@dataclass(frozen=True, eq=False)
class PanopticMap:
    """Which segment each pixel belongs to.

    Attributes:
        numbers: (H, W) int32, 0 for none.
        segments: those there are, in the order of their numbers.
    """

    numbers: npt.NDArray[np.int32]
    segments: tuple[Segment, ...]


def merge_panoptic(
    prediction: Prediction,
    stuff: Collection[str],
    *,
    score_threshold: float = 0.5,
    overlap_limit: float = 0.5,
    smallest_share: float = 0.005,
) -> PanopticMap:
    """Merge the two answers of a model that finds objects and tells the class of every pixel.

    The better object owns a pixel; one of whose mask more than `overlap_limit` belongs to better ones is dropped. A
    class of stuff gets the pixels that no object has, if they are enough.

    Args:
        prediction: with masks and with `semantic`.
        stuff: names of the classes that have no objects; all others are things.
        score_threshold: objects with a lower score are left out.
        overlap_limit: a share of the object's mask.
        smallest_share: of the image; stuff that has less is left out. (4096 pixels in the paper's code, for COCO.)

    Raises:
        UserError: no masks, no class of every pixel, or a name that no class has.
    """
    semantic = prediction.semantic
    if semantic is None or not prediction.has_masks:
        raise UserError("panoptic: expected a model with a mask branch and semantic_head.enabled")
    if unknown := [name for name in stuff if name not in prediction.categories.names]:
        raise UserError(f"panoptic: no class of the model is called {one_line(unknown[0])}")
    is_stuff = np.array([name in stuff for name in prediction.categories.names])
    numbers, segments = np.zeros(prediction.image_size, np.int32), list[Segment]()
    for index in np.flatnonzero((prediction.scores >= score_threshold) & ~is_stuff[prediction.labels]).tolist():
        if free := _paste(prediction, index, numbers, len(segments) + 1, overlap_limit):
            label, score = int(prediction.labels[index]), float(prediction.scores[index])
            segments.append(Segment(len(segments) + 1, label, free, score))
    for label in np.flatnonzero(is_stuff).tolist():
        left = (semantic == label) & (numbers == 0)
        area = int(np.count_nonzero(left))
        if area and area >= smallest_share * left.size:
            segments.append(Segment(len(segments) + 1, label, area, None))
            numbers[left] = len(segments)
    return PanopticMap(numbers, tuple(segments))


def _paste(prediction: Prediction, index: int, numbers: npt.NDArray[np.int32], own: int, limit: float) -> int:
    """Give an object the pixels that are free, unless too many are not; how many it got."""
    masks = prediction.run_lengths
    x1, y1, x2, y2 = masks.windows[index].tolist()
    mask, under = masks.crop(index).view(bool), numbers[y1:y2, x1:x2]
    free = mask & (under == 0)
    area, got = np.count_nonzero(mask), np.count_nonzero(free)
    if area - got > limit * area:
        return 0
    under[free] = own
    return int(got)
