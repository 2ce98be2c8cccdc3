"""Runs of rings: computed in parts they are the same, and what cancels takes no room."""

from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.masks import polygon_crossings
from maskrcnn.masks.polygon_crossings import count_crossings, runs_of_rings
from maskrcnn.masks.polygons import rasterize_crossings, rasterize_reference
from maskrcnn.structures import Polygons

FRAME = (0, 0, 12, 10)


def rectangle(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], np.float64)


def test_runs_of_a_rectangle_and_of_two_that_overlap() -> None:
    assert runs_of_rings([rectangle(2, 3, 4, 5)], FRAME).tolist() == [23, 25, 33, 35]
    both = runs_of_rings([rectangle(2, 3, 4, 5), rectangle(3, 4, 5, 9)], FRAME)
    assert both.tolist() == [23, 25, 33, 39, 44, 49]
    assert runs_of_rings([], FRAME).tolist() == []


def test_touching_runs_of_two_rings_become_one() -> None:
    assert runs_of_rings([rectangle(2, 3, 3, 5), rectangle(2, 5, 3, 8)], FRAME).tolist() == [23, 28]


@pytest.mark.parametrize("at_a_time", [1, 7, 30])
def test_in_parts_the_pixels_are_the_same(monkeypatch: pytest.MonkeyPatch, at_a_time: int) -> None:
    monkeypatch.setattr(polygon_crossings, "CROSSINGS_AT_A_TIME", at_a_time)
    rng = np.random.default_rng(0)
    for _ in range(40):
        rings = [rng.random((rng.integers(3, 15), 2)) * [16, 14] - 2 for _ in range(rng.integers(1, 6))]
        shape = Polygons(tuple(rings))
        expected = rasterize_reference(shape, FRAME, (10, 12))
        np.testing.assert_array_equal(rasterize_crossings(shape, FRAME, (10, 12)), expected)


def test_an_edge_there_and_back_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crossings that cancel are dropped between the parts, so that memory does not grow with them."""
    monkeypatch.setattr(polygon_crossings, "CROSSINGS_AT_A_TIME", 50)
    sizes: list[int] = []
    unique = np.unique
    monkeypatch.setattr(np, "unique", lambda values, **more: sizes.append(len(values)) or unique(values, **more))
    there_and_back = np.tile([(0.0, 0.0), (12.0, 9.0)], (500, 1))
    assert runs_of_rings([there_and_back], FRAME).tolist() == []
    assert len(sizes) > 100 and max(sizes) < 150


def test_crossings_are_what_drawing_costs() -> None:
    assert count_crossings([rectangle(2, 3, 4, 5)], 12) == 4
    assert count_crossings([rectangle(-1e9, 3, 1e9, 5)], 12) == 24
    assert count_crossings([rectangle(2, 3, 4, 5), rectangle(20, 3, 24, 5)], 12) == 4
    assert count_crossings([], 12) == 0
