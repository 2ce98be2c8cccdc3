"""Masks drawn in bands of columns: the same run lengths as in one piece."""

from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.data.formats.bitmaps import union, with_holes
from maskrcnn.masks import bands
from maskrcnn.masks.polygons import polygon_to_rle
from maskrcnn.masks.rle import encode_rle
from maskrcnn.structures import RLE, Polygons

SIZE = (50, 70)
STAR = [5.5, 2, 60, 44.3, 8, 40, 66, 3, 30, 49]
BOX = [0, 0, 70, 0, 70, 50, 0, 50]
INNER = [20, 10, 50, 10, 50, 30, 20, 30]


def drawn() -> list[RLE]:
    """A tangled ring, the whole frame, one with a hole in which a part of another lies, and unions with run lengths."""
    star, frame = (Polygons((np.array(ring, float).reshape(-1, 2),)) for ring in (STAR, BOX))
    bitmap = np.random.default_rng(0).integers(0, 2, SIZE).astype(np.uint8)
    return [
        polygon_to_rle(star, SIZE),
        polygon_to_rle(frame, SIZE),
        with_holes([(BOX, [INNER]), ([25, 15, 30, 15, 30, 20, 25, 20], [])], SIZE),
        union([encode_rle(bitmap), polygon_to_rle(star, SIZE)], [INNER], SIZE),
        union([encode_rle(np.zeros(SIZE, np.uint8))] * 2, [], SIZE),
    ]


@pytest.mark.parametrize("pixels", [1, 120, 50 * 69, 50 * 70])
def test_bands_change_nothing(pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [rle.counts.tolist() for rle in drawn()]
    monkeypatch.setattr(bands, "BAND", pixels)
    assert [rle.counts.tolist() for rle in drawn()] == expected


def test_the_whole_of_a_slide_takes_no_bitmap_of_it() -> None:
    """One of 65,000 x 65,000 pixels would have 4 GB."""
    size, parts = (65_000, 65_000), list[int]()

    def draw(window: tuple[int, int, int, int]) -> np.ndarray:
        x1, y1, x2, y2 = window
        parts.append((x2 - x1) * (y2 - y1))
        return np.zeros((0, 0), np.uint8)

    bands.encode_in_bands(draw, (0, 0, *size), size)
    assert max(parts) <= bands.BAND
    assert sum(parts) == size[0] * size[1]
