from __future__ import annotations

import numpy as np

from maskrcnn.viz.labels import Label, draw_labels

RED, GREEN = (255, 0, 0), (0, 255, 0)


def blank(height: int = 120, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), 60, np.uint8)


def plate(picture: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """(x1, y1, x2, y2) around the pixels of a plate's colour, or None."""
    ys, xs = np.nonzero((picture == colour).all(axis=2))
    return None if len(xs) == 0 else (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_the_plate_stands_on_the_box() -> None:
    x1, y1, x2, y2 = plate(draw_labels(blank(), [Label("cat", (40, 50, 90, 100), RED)], 14), RED)
    assert x1 == 40 and 47 <= y2 <= 51 and 14 <= y2 - y1 <= 26 and 20 <= x2 - x1 <= 50


def test_text_is_drawn_inside_its_plate() -> None:
    picture = draw_labels(blank(), [Label("Ägypten jgp|", (20, 50, 90, 100), RED)], 14)
    x1, y1, x2, y2 = plate(picture, RED)
    changed = (picture != 60).any(axis=2)
    white = (picture == 255).all(axis=2)
    assert white.sum() > 20 and white[y1:y2, x1:x2].sum() == white.sum()
    changed[y1:y2, x1:x2] = False
    assert not changed.any()


def test_a_box_at_the_edge_keeps_its_label_in_the_picture() -> None:
    for box in [(-30, -30, 10, 10), (190, 110, 230, 140), (-500, 60, -400, 70), (40, 0, 90, 120)]:
        picture = draw_labels(blank(), [Label("cat", box, RED)], 14)
        x1, y1, x2, y2 = plate(picture, RED)
        assert x2 - x1 > 20 and y2 - y1 > 12


def test_labels_do_not_cover_each_other() -> None:
    box = (40, 50, 90, 100)
    picture = draw_labels(blank(), [Label("first", box, RED), Label("second", box, GREEN)], 14)
    first, second = plate(picture, RED), plate(picture, GREEN)
    assert first[3] <= second[1] or second[3] <= first[1]


def test_without_a_free_place_the_later_label_is_left_out() -> None:
    box = (2, 2, 6, 6)
    picture = draw_labels(blank(20, 60), [Label("first", box, RED), Label("second", box, GREEN)], 14)
    assert plate(picture, RED) is not None and plate(picture, GREEN) is None


def test_the_picture_given_is_not_changed() -> None:
    picture = blank()
    draw_labels(picture, [Label("cat", (40, 50, 90, 100), RED)], 14)
    assert (picture == 60).all()


def test_a_label_wider_than_the_picture() -> None:
    picture = draw_labels(blank(40, 30), [Label("a very long class name 0.99", (5, 20, 9, 30), RED)], 14)
    assert picture.shape == (40, 30, 3) and plate(picture, RED)[0] == 0
