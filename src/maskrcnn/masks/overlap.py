"""Objects whose masks lie under better ones: two answers for the same pixels, which box overlap alone does not show.

A small mask may lie wholly within a large one while their boxes, one in a corner of the other, have too small an IoU
for NMS.
"""

from __future__ import annotations

import torch
from torch import Tensor

from maskrcnn.structures import MaskCrops


def uncovered(masks: MaskCrops, labels: Tensor, max_overlap: float) -> Tensor:
    """Which objects stay when each must have enough pixels of its own.

    Greedy, like NMS: an object is dropped when more than a share `max_overlap` of its pixels belongs to better objects
    of its class that stay. One without any pixel stays.

    Args:
        masks: of D objects, best first.
        labels: (D,) their classes.
        max_overlap: from 0 to 1, which keeps all.

    Returns:
        (K,) int64 indices in rising order.
    """
    stays = torch.zeros(len(masks), dtype=torch.bool)
    windows = masks.windows.tolist()
    for label in labels.unique():
        taken = torch.zeros(masks.image_size, dtype=torch.bool)
        for index in (labels == label).nonzero()[:, 0].tolist():
            x1, y1, x2, y2 = windows[index]
            mask, under = masks.crop(index).bool(), taken[y1:y2, x1:x2]
            if int((mask & under).sum()) <= max_overlap * int(mask.sum()):
                stays[index] = True
                under |= mask
    return stays.nonzero()[:, 0]
