from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.structures.masks import Float32Array
from maskrcnn.viz.colours import instance_colour
from maskrcnn.viz.overlay import draw_overlay
from maskrcnn.viz.skeletons import Skeletons, draw_skeleton

COLOUR = (10, 200, 30)
LINES = [(0, 1), (1, 2)]


def canvas(height: int = 200, width: int = 300) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def drawn(points: list[list[float]], lines: list[tuple[int, int]] = LINES, line_width: int = 4) -> np.ndarray:
    picture = canvas()
    draw_skeleton(picture, np.array(points, float), lines, COLOUR, line_width)
    return picture


def is_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(picture.astype(int) - colour) <= 3).all(axis=2)


def changed(picture: np.ndarray) -> np.ndarray:
    return (picture != 90).any(axis=2)


def test_dots_are_light_with_a_dark_rim_and_lines_join_them() -> None:
    picture = drawn([[50.5, 100.5], [150.5, 100.5], [150.5, 20.5]])
    assert is_colour(picture, (255, 255, 255))[100, 50] and is_colour(picture, (255, 255, 255))[20, 150]
    assert is_colour(picture, COLOUR)[100, 70:130].all() and is_colour(picture, COLOUR)[40:80, 150].all()
    row = changed(picture)[:, 100]
    assert row.sum() > is_colour(picture, COLOUR)[:, 100].sum() >= 2, "the line has a rim"
    assert not changed(picture)[130:].any() and not changed(picture)[:80, :140].any()


def test_left_out_points_take_their_lines_with_them() -> None:
    picture = drawn([[50.5, 100.5], [np.nan, np.nan], [150.5, 20.5]])
    assert not is_colour(picture, COLOUR).any()
    assert is_colour(picture, (255, 255, 255))[100, 50] and is_colour(picture, (255, 255, 255))[20, 150]
    assert not changed(drawn([[np.nan, np.nan]] * 3)).any()


def test_small_objects_are_drawn_finely() -> None:
    def dot_width(height: int) -> int:
        picture = canvas(700, 100)
        draw_skeleton(picture, np.array([[50.0, 20.0], [50.0, 20.0 + height]]), [], COLOUR, 8)
        return int(changed(picture)[20].sum())

    assert dot_width(30) <= 8 < 2 * dot_width(30) < dot_width(600)
    assert dot_width(600) == dot_width(660), "large objects get what the picture's size asks for"


@pytest.mark.parametrize("value", [1e30, -1e30, 1e6])
def test_wild_places_do_no_harm(value: float) -> None:
    assert drawn([[value, value], [50, 50], [value, 0]]).shape == (200, 300, 3)


def test_a_line_may_leave_the_picture() -> None:
    picture = drawn([[50.5, 100.5], [1000.5, 100.5], [50.5, 100.5]])
    assert is_colour(picture, COLOUR)[100, 100:299].all()


def keypoints(*rows: list[float]) -> Float32Array:
    return np.array(rows, np.float32)[None]


def test_only_keypoints_above_the_threshold_are_drawn() -> None:
    rows = keypoints([10.0, 20.0, 0.04], [30.0, 40.0, 0.06], [float("nan"), 0.0, 1.0])
    places = Skeletons(rows, LINES).of(0, factor=2)
    assert np.isnan(places[[0, 2]]).all() and places[1].tolist() == [60, 80]
    truth = keypoints([10.0, 20.0, 1.0], [0.0, 0.0, 0.0])
    assert np.isfinite(Skeletons(truth, LINES, threshold=0).of(0, 1)).all(axis=1).tolist() == [True, False]


@pytest.mark.parametrize("factor", [1, 4])
def test_overlays_show_skeletons_in_the_colour_of_the_object(factor: int) -> None:
    size = (1000 // factor, 1000 // factor)
    scale = 1 / factor
    rows = keypoints([300.5 * scale, 500.5 * scale, 0.9], [700.5 * scale, 500.5 * scale, 0.9])
    arguments = np.array([[200.0, 200, 800, 800]]) * scale, np.array([0]), None, ("person",)
    image = canvas(*size)
    plain = draw_overlay(image, None, *arguments)
    picture = draw_overlay(image, None, *arguments, Skeletons(rows, [(0, 1)]))
    assert picture.shape == (1000, 1000, 3) and (image == 90).all()
    assert is_colour(picture, instance_colour(0))[500, 330:670].all()
    assert is_colour(picture, (255, 255, 255))[500, 300]
    difference = (picture != plain).any(axis=2)
    assert difference.any() and not difference[:450].any() and not difference[550:].any()
