from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.masks.polygons import bitmap_to_polygons
from maskrcnn.masks.simplification import simplified


def distances(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """From each point to the closed line through the ring."""
    starts, steps = ring, np.roll(ring, -1, axis=0) - ring
    share = ((points[:, None] - starts) * steps).sum(-1) / np.maximum((steps**2).sum(-1), 1e-12)
    nearest = starts + np.clip(share, 0, 1)[..., None] * steps
    return np.sqrt(((points[:, None] - nearest) ** 2).sum(-1)).min(axis=1)


@pytest.mark.parametrize("tolerance", [0.5, 2.0])
def test_no_point_is_further_than_the_tolerance(tolerance: float) -> None:
    y, x = np.mgrid[:60, :60]
    disc = ((x - 30) ** 2 + (y - 28) ** 2 < 400).astype(np.uint8)
    ((ring, _),) = bitmap_to_polygons(disc)
    fewer = simplified(ring, tolerance)
    assert 3 <= len(fewer) < len(ring) / 2 and distances(ring, fewer).max() <= tolerance + 1e-4
    assert simplified(ring, 0) is ring


def test_what_is_smaller_than_the_tolerance_stays() -> None:
    pixel = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    assert simplified(pixel, 5).tolist() == pixel.tolist()
