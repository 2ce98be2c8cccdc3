"""One answer for every pixel: objects where there are any, stuff in what is left (Kirillov et al. 2019, section 6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maskrcnn.detected import DetectedObjects
from maskrcnn.errors import UserError
from maskrcnn.structures.panoptic import PanopticMap, Segment


def merge_panoptic(
    found: DetectedObjects,
    *,
    score_threshold: float = 0.5,
    overlap_limit: float = 0.5,
    smallest_share: float = 0.005,
) -> PanopticMap:
    """Merge the two answers of a model that finds objects and tells the class of every pixel.

    The better object owns a pixel; one of whose mask more than `overlap_limit` belongs to better ones is dropped. A
    class of stuff (`Categories.stuff`) gets the pixels that no object has, if they are enough.

    Args:
        found: with masks and with `semantic`.
        score_threshold: objects with a lower score are left out.
        overlap_limit: a share of the object's mask.
        smallest_share: of the image; stuff that has less is left out. (4096 pixels in the paper's code, for COCO.)

    Raises:
        UserError: no masks, or no class of every pixel.
    """
    semantic, stuff = found.semantic, sorted(found.categories.stuff)
    if semantic is None or not found.has_masks:
        raise UserError("panoptic: expected a model with a mask branch and semantic_head.enabled")
    numbers, segments = np.zeros(found.image_size, np.int32), list[Segment]()
    for index in np.flatnonzero((found.scores >= score_threshold) & ~np.isin(found.labels, stuff)).tolist():
        if free := _paste(found, index, numbers, len(segments) + 1, overlap_limit):
            label, score = int(found.labels[index]), float(found.scores[index])
            segments.append(Segment(len(segments) + 1, label, free, score))
    for label in stuff:
        left = (semantic == label) & (numbers == 0)
        area = int(np.count_nonzero(left))
        if area and area >= smallest_share * left.size:
            segments.append(Segment(len(segments) + 1, label, area))
            numbers[left] = len(segments)
    return PanopticMap(numbers, tuple(segments))


def _paste(found: DetectedObjects, index: int, numbers: npt.NDArray[np.int32], own: int, limit: float) -> int:
    """Give an object the pixels that are free, unless too many are not; how many it got."""
    masks = found.run_lengths
    x1, y1, x2, y2 = masks.windows[index].tolist()
    mask, under = masks.crop(index).view(bool), numbers[y1:y2, x1:x2]
    free = mask & (under == 0)
    area, got = np.count_nonzero(mask), np.count_nonzero(free)
    if area - got > limit * area:
        return 0
    under[free] = own
    return int(got)
