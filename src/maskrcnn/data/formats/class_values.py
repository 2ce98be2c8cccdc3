"""Whether label images number classes instead of objects: then everything of one class would become one object.

Numbers of objects stand for one connected region each, seldom for more, and often run from 1 to as many as there are.
Numbers of classes are few, they recur in most masks, and mostly in several parts. One number alone is seen in one mask
already; that several recur, in a few. Objects in parts, as many in each mask, look the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2

from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_crops import crop_rle
from maskrcnn.structures import RLE

RECURRING = 3
"""Masks in which several numbers can recur at least."""
FEW = 20
"""Numbers of a mask; of one with more the parts are not counted."""
LOOKED_AT = 50
"""Masks whose parts are counted."""
_MOST_PIXELS = 1 << 24
"""Of a region whose parts are counted: that takes five bytes for each."""


class ClassValues:
    """Takes down which numbers the masks have, one mask after the other."""

    def __init__(self) -> None:
        self.num_masks = 0
        self._last, self._has_gaps = set[int](), False
        self._masks_of, self._looked_at, self._in_parts = Counter[int](), Counter[int](), Counter[int]()

    def note(self, regions: Sequence[tuple[int, RLE]]) -> None:
        """One mask's numbers with their pixels."""
        values = [value for value, _ in regions]
        self.num_masks += bool(regions)
        self._masks_of.update(values)
        self._last.add(max(values, default=0))
        self._has_gaps |= max(values, default=0) != len(values)
        if len(regions) <= FEW and self.num_masks <= LOOKED_AT:
            self._looked_at.update(values)
            self._in_parts.update(value for value, rle in regions if has_parts(rle))

    @property
    def are_one(self) -> bool:
        """Whether all masks have the same number alone."""
        return len(self._masks_of) == 1

    def found(self) -> list[int]:
        """The numbers that look like classes; none where they look like objects."""
        if not self.are_one and (self.num_masks < RECURRING or self._count_objects()):
            return []
        recurring = [value for value, times in self._masks_of.items() if 2 * times >= self.num_masks]
        times, looked_at, in_parts = (
            sum(counts[value] for value in recurring) for counts in (self._masks_of, self._looked_at, self._in_parts)
        )
        are_most = 2 * times >= self._masks_of.total()
        return sorted(recurring) if len(recurring) <= FEW and are_most and 2 * in_parts > looked_at else []

    def _count_objects(self) -> bool:
        """Whether the numbers of each mask run from 1 to its own last."""
        return not self._has_gaps and len(self._last - {0}) > 1


def has_parts(rle: RLE) -> bool:
    """Whether a region has several parts that do not touch, not even at corners; of a huge one nobody looks."""
    x1, y1, x2, y2 = window = rle_window(rle)
    if (x2 - x1) * (y2 - y1) > _MOST_PIXELS:
        return False
    numbers, _ = cv2.connectedComponents(crop_rle(rle, window), connectivity=8)
    return numbers > 2  # with the background
