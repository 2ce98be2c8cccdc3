"""Whether label images number classes instead of objects: then everything of one class would become one object.

Numbers of objects stand for one connected region each, seldom for more. Numbers of classes are few, they recur in most
masks, and mostly in several parts. One number alone is seen in one mask already; that several recur, in a few.
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
        self._masks_of, self._looked_at, self._in_parts = Counter[int](), Counter[int](), Counter[int]()

    def note(self, regions: Sequence[tuple[int, RLE]]) -> None:
        """One mask's numbers with their pixels."""
        self.num_masks += bool(regions)
        self._masks_of.update(value for value, _ in regions)
        if len(regions) <= FEW and self.num_masks <= LOOKED_AT:
            self._looked_at.update(value for value, _ in regions)
            self._in_parts.update(value for value, rle in regions if has_parts(rle))

    def found(self) -> list[int]:
        """The numbers that look like classes; none where they look like objects."""
        if len(self._masks_of) > 1 and self.num_masks < RECURRING:
            return []
        recurring = [value for value, times in self._masks_of.items() if 2 * times >= self.num_masks]
        times, looked_at, in_parts = (
            sum(counts[value] for value in recurring) for counts in (self._masks_of, self._looked_at, self._in_parts)
        )
        are_most = 2 * times >= self._masks_of.total()
        return sorted(recurring) if len(recurring) <= FEW and are_most and 2 * in_parts > looked_at else []


def has_parts(rle: RLE) -> bool:
    """Whether a region has several parts that do not touch, not even at corners; of a huge one nobody looks."""
    x1, y1, x2, y2 = window = rle_window(rle)
    if (x2 - x1) * (y2 - y1) > _MOST_PIXELS:
        return False
    numbers, _ = cv2.connectedComponents(crop_rle(rle, window), connectivity=8)
    return numbers > 2  # with the background
