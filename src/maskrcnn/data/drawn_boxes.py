"""Masks that are boxes: drawn as rectangles, or made of boxes by a converter."""

from __future__ import annotations

import numpy as np

from maskrcnn.data.coco import LabelledImages
from maskrcnn.masks.rle import rle_area, rle_window
from maskrcnn.structures import RLE, Polygons
from maskrcnn.structures.labels import LabelStore, MaskKind
from maskrcnn.structures.masks import FloatArray

FEWEST = 20
"""Of fewer masks nothing is said."""
SHARE = 0.95
LOOKED_AT = 1000
"""Of more masks so many are looked at, evenly spread."""


def drawn_boxes(data: LabelledImages) -> str:
    """A line where nearly all masks are rectangles that fill their boxes; else empty."""
    labels = data.labels
    with_masks = np.flatnonzero((labels.is_object & (labels.mask_kinds != int(MaskKind.NONE))).numpy())
    looked_at = with_masks[:: 1 + len(with_masks) // LOOKED_AT].tolist()
    filled, others_left = 0, (1 - SHARE) * len(looked_at)
    for number in looked_at:
        fills = _fills_its_box(labels, number)
        filled, others_left = filled + fills, others_left - (not fills)
        if others_left < 0:
            return ""
    if len(with_masks) < FEWEST:
        return ""
    return (
        f"{data.report.source}: masks are boxes ({filled} of {len(looked_at)} looked at are upright rectangles), so a "
        "mask branch learns boxes and is measured on them; draw outlines, or learn boxes (mask_head.enabled=false)"
    )


def _fills_its_box(labels: LabelStore, number: int) -> bool:
    image = int(np.searchsorted(labels.first_object.numpy(), number, side="right")) - 1
    mask = labels.mask(number, labels.size(image))
    if isinstance(mask, RLE):
        x1, y1, x2, y2 = rle_window(mask)
        return rle_area(mask) == (x2 - x1) * (y2 - y1)
    return isinstance(mask, Polygons) and len(mask.rings) == 1 and _is_upright(mask.rings[0])


def _is_upright(ring: FloatArray) -> bool:
    """Whether four points, the first perhaps again behind them, are the corners of an upright rectangle."""
    if not 4 <= len(ring) <= 5:
        return False
    corners = np.concatenate([ring.min(axis=0), ring.max(axis=0)])[[[0, 1], [2, 1], [2, 3], [0, 3]]]
    is_corner = np.isclose(ring[:4, None], corners).all(axis=2)
    return bool(is_corner.any(axis=0).all() and np.isclose(ring[4:], ring[:1]).all())
