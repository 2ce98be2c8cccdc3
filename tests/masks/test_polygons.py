from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from maskrcnn.errors import UserError
from maskrcnn.masks.polygons import (
    RASTERIZE,
    bitmap_to_polygons,
    polygon_to_rle,
    polygon_window,
    rasterize_polygons,
)
from maskrcnn.masks.rle import rle_area
from maskrcnn.masks.rle_string import counts_to_string
from maskrcnn.structures import Polygons

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

SIZES = [(20, 30), (1, 9), (9, 1), (50, 50), (7, 3)]


def polygons(*rings: list[tuple[float, float]]) -> Polygons:
    return Polygons(tuple(np.array(ring, np.float64) for ring in rings))


def random_rings(rng: np.random.Generator, size: tuple[int, int]) -> list[np.ndarray]:
    """One to three rings: anywhere, far outside, on whole pixels, on the fine grid's halves, with doubled points."""
    height, width = size
    rings = []
    for _ in range(rng.integers(1, 4)):
        ring = rng.random((rng.integers(3, 12), 2)) * [width, height]
        kind = rng.integers(5)
        if kind == 1:
            ring = 4 * ring - 1.5 * np.array([width, height])
        if kind == 2:
            ring = np.round(ring)
        if kind == 3:
            ring = np.round(10 * ring) / 10
        if kind == 4:
            ring = np.repeat(ring, 2, axis=0)
        rings.append(ring)
    return rings


def coco_rle(rings: list[np.ndarray], size: tuple[int, int]) -> dict[str, bytes | list[int]]:
    return coco_mask.merge(coco_mask.frPyObjects([ring.ravel().tolist() for ring in rings], *size))


def frame(size: tuple[int, int]) -> tuple[int, int, int, int]:
    return 0, 0, size[1], size[0]


@pytest.mark.parametrize("way", RASTERIZE)
def test_a_rectangle_covers_the_pixels_between_its_edges(way: str) -> None:
    bitmap = RASTERIZE[way](polygons([(1, 2), (4, 2), (4, 5), (1, 5)]), (0, 0, 6, 6), (6, 6))
    expected = np.zeros((6, 6), np.uint8)
    expected[2:5, 1:4] = 1
    np.testing.assert_array_equal(bitmap, expected)


@pytest.mark.parametrize("way", RASTERIZE)
def test_pixels_whose_centre_is_inside(way: str) -> None:
    bitmap = RASTERIZE[way](polygons([(0.4, 0.4), (2.6, 0.4), (2.6, 1.6), (0.4, 1.6)]), (0, 0, 4, 3), (3, 4))
    np.testing.assert_array_equal(bitmap, [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("way", RASTERIZE)
def test_rings_are_united_but_one_ring_is_even_odd(way: str) -> None:
    square, inner = [(0, 0), (5, 0), (5, 5), (0, 5)], [(1, 1), (4, 1), (4, 4), (1, 4)]
    assert RASTERIZE[way](polygons(square, inner), (0, 0, 5, 5), (5, 5)).sum() == 25
    assert RASTERIZE[way](polygons(square + square), (0, 0, 5, 5), (5, 5)).sum() == 0  # around it twice


def test_every_way_equals_pycocotools() -> None:
    rng = np.random.default_rng(0)
    for i in range(150):
        size = SIZES[i % len(SIZES)]
        rings = random_rings(rng, size)
        expected = coco_mask.decode(coco_rle(rings, size))
        for rasterize in RASTERIZE.values():
            np.testing.assert_array_equal(rasterize(Polygons(tuple(rings)), frame(size), size), expected)


def test_run_lengths_are_those_of_pycocotools_byte_for_byte() -> None:
    rng = np.random.default_rng(1)
    for i in range(600):
        size = SIZES[i % len(SIZES)]
        rings = random_rings(rng, size)
        assert (
            counts_to_string(polygon_to_rle(Polygons(tuple(rings)), size).counts)
            == coco_rle(rings, size)["counts"].decode()
        )


@pytest.mark.parametrize("name", ["facades", "fruits_nuts", "coco_mini"])
def test_real_polygons_equal_pycocotools(shared: Path, name: str) -> None:
    data = json.loads((shared / "data" / name / "instances_val.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in data["images"]}
    annotations = [a for a in data["annotations"] if isinstance(a["segmentation"], list)][:300]
    assert annotations
    for annotation in annotations:
        rings = [np.array(ring).reshape(-1, 2) for ring in annotation["segmentation"]]
        size = sizes[annotation["image_id"]]
        assert (
            counts_to_string(polygon_to_rle(Polygons(tuple(rings)), size).counts)
            == coco_rle(rings, size)["counts"].decode()
        )


@pytest.mark.parametrize("way", RASTERIZE)
def test_a_window_is_a_cut_of_the_frame(way: str) -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        shape = Polygons(tuple(random_rings(rng, (20, 30))))
        whole = RASTERIZE[way](shape, (0, 0, 30, 20), (20, 30))
        for x1, y1, x2, y2 in [(3, 4, 17, 20), (0, 19, 30, 20), (29, 0, 30, 20), (5, 5, 5, 9), (0, 0, 0, 0)]:
            np.testing.assert_array_equal(RASTERIZE[way](shape, (x1, y1, x2, y2), (20, 30)), whole[y1:y2, x1:x2])


def test_the_window_of_a_polygon_holds_all_its_pixels() -> None:
    rng = np.random.default_rng(3)
    for i in range(200):
        size = SIZES[i % len(SIZES)]
        shape = Polygons(tuple(random_rings(rng, size)))
        x1, y1, x2, y2 = polygon_window(shape, size)
        assert 0 <= x1 <= x2 <= size[1] and 0 <= y1 <= y2 <= size[0]
        inside = rasterize_polygons(shape, (x1, y1, x2, y2), size).sum()
        assert inside == rasterize_polygons(shape, frame(size), size).sum()


def test_the_window_is_as_large_as_the_object() -> None:
    assert polygon_window(polygons([(10.2, 20.1), (13.9, 20.1), (12, 29)]), (100, 100)) == (10, 20, 14, 29)
    assert polygon_window(polygons([(-10, -10), (-5, -10), (-5, -5)]), (100, 100)) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "rings", [(), ([],), ([(1, 1)],), ([(1, 1), (5, 5)],), ([(3, 3)] * 4,), ([(1, 2), (5, 2), (9, 2)],)]
)
def test_polygons_without_area_have_no_pixel(rings: tuple[list[tuple[int, int]], ...]) -> None:
    shape = Polygons(tuple(np.array(ring, np.float64).reshape(-1, 2) for ring in rings))
    for rasterize in RASTERIZE.values():
        assert rasterize(shape, (0, 0, 12, 12), (12, 12)).sum() == 0
    assert polygon_to_rle(shape, (12, 12)).counts.tolist() == [144]


def test_wild_coordinates_cost_nothing_and_stay_inside() -> None:
    square = polygons([(-1e300, -1e12), (1e300, -1e12), (1e300, 1e12), (-1e300, 1e12)])
    assert rle_area(polygon_to_rle(square, (30, 40))) == 30 * 40
    half = polygons([(-1e8, -1e8), (20, -1e8), (20, 1e8), (-1e8, 1e8)])
    assert rle_area(polygon_to_rle(half, (30, 40))) == 30 * 20


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_coordinates_that_are_no_numbers_are_user_errors(value: float) -> None:
    for rasterize in RASTERIZE.values():
        with pytest.raises(UserError, match="finite"):
            rasterize(polygons([(0, 0), (value, 0), (3, 3)]), (0, 0, 4, 4), (4, 4))
    with pytest.raises(UserError, match="finite"):
        polygon_to_rle(polygons([(0, 0), (value, 0), (3, 3)]), (4, 4))


# --- bitmap -> polygons -----------------------------------------------------------------------------------------


def drawn(parts: list[tuple[np.ndarray, list[np.ndarray]]], size: tuple[int, int]) -> np.ndarray:
    """Outer rings filled, their holes cut out again."""
    bitmap = np.zeros(size, np.uint8)
    for outer, holes in parts:
        part = rasterize_polygons(Polygons((outer,)), frame(size), size).copy()
        for hole in holes:
            part &= 1 - rasterize_polygons(Polygons((hole,)), frame(size), size)
        bitmap |= part
    return bitmap


def test_rings_run_along_pixel_edges() -> None:
    bitmap = np.zeros((5, 6), np.uint8)
    bitmap[1:4, 2:4] = 1
    ((outer, holes),) = bitmap_to_polygons(bitmap)
    assert sorted(map(tuple, outer.tolist())) == [(2, 1), (2, 4), (4, 1), (4, 4)]
    assert holes == []


def test_parts_and_their_holes() -> None:
    """A ring with a dot in its hole, and a square: three parts, one hole."""
    bitmap = np.zeros((12, 20), np.uint8)
    bitmap[1:8, 1:8] = 1
    bitmap[2:7, 2:7] = 0
    bitmap[4, 4] = 1
    bitmap[2:5, 12:16] = 1
    parts = bitmap_to_polygons(bitmap)
    assert sorted(len(holes) for _, holes in parts) == [0, 0, 1]
    np.testing.assert_array_equal(drawn(parts, bitmap.shape), bitmap)


def test_rasterising_the_rings_gives_the_bitmap_back() -> None:
    rng = np.random.default_rng(4)
    for _ in range(150):
        bitmap = (rng.random(rng.integers(1, 25, 2)) < rng.choice([0.1, 0.5, 0.9])).astype(np.uint8)
        np.testing.assert_array_equal(drawn(bitmap_to_polygons(bitmap), bitmap.shape), bitmap)


def test_a_large_smooth_object_has_few_points() -> None:
    y, x = np.mgrid[:200, :200]
    disc = ((x - 100) ** 2 + (y - 90) ** 2 < 80**2).astype(np.uint8)
    ((outer, holes),) = bitmap_to_polygons(disc)
    assert len(outer) < 800 and holes == []
    np.testing.assert_array_equal(drawn([(outer, holes)], disc.shape), disc)


def test_an_empty_bitmap_has_no_parts() -> None:
    assert bitmap_to_polygons(np.zeros((4, 4), np.uint8)) == []
    assert bitmap_to_polygons(np.zeros((0, 4), np.uint8)) == []
