"""Outlines with fewer points (Douglas & Peucker 1973)."""

from __future__ import annotations

import numpy as np

from maskrcnn.structures.masks import FloatArray


def simplified(ring: FloatArray, tolerance: float) -> FloatArray:
    """Some of the points of a closed ring (n, 2), such that no point left out is further than `tolerance` from it.

    The ring itself where nothing with an area would be left.
    """
    import cv2

    if tolerance <= 0:
        return ring
    kept = cv2.approxPolyDP(ring.astype(np.float32).reshape(-1, 1, 2), tolerance, True).reshape(-1, 2)
    return kept.astype(np.float64) if len(kept) >= 3 else ring
