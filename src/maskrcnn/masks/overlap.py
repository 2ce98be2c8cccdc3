"""Objects whose masks lie under better ones: two answers for the same pixels, which box overlap alone does not show.

A small mask may lie wholly within a large one while their boxes, one in a corner of the other, have too small an IoU
for NMS.
"""

from __future__ import annotations

import numpy as np

from maskrcnn.structures.masks import IntArray, Masks


def uncovered(masks: Masks, labels: IntArray, max_overlap: float) -> IntArray:
    """Which objects stay when each must have enough pixels of its own.

    Greedy, like NMS: an object is dropped when more than a share `max_overlap` of its pixels belongs to better objects
    of its class that stay. One without any pixel stays.

    Args:
        masks: of D objects, best first; only one at a time is unpacked.
        labels: (D,) their classes.
        max_overlap: from 0 to 1, which keeps all.

    Returns:
        (K,) int64 indices in rising order.
    """
    stays = np.zeros(len(masks), bool)
    windows = masks.windows.tolist()
    for label in np.unique(labels):
        taken = np.zeros(masks.image_size, bool)
        for index in np.flatnonzero(labels == label).tolist():
            x1, y1, x2, y2 = windows[index]
            mask, under = masks.crop(index).view(bool), taken[y1:y2, x1:x2]
            if np.count_nonzero(mask & under) <= max_overlap * np.count_nonzero(mask):
                stays[index] = True
                under |= mask
    return np.flatnonzero(stays)
