from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.viz.colours import Colour
from maskrcnn.viz.labels import Label, draw_legend
from maskrcnn.viz.labels import draw_labels as draw_in_place
from maskrcnn.viz.occupancy import Occupancy

RED, GREEN = (255, 0, 0), (0, 255, 0)


def blank(height: int = 120, width: int = 200) -> np.ndarray:
    return np.full((height, width, 3), 60, np.uint8)


def draw_labels(picture: np.ndarray, labels: list[Label], text_height: int, *more: Occupancy) -> np.ndarray:
    draw_in_place(picture, labels, text_height, *more)
    return picture


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


@pytest.mark.parametrize("box", [(60, 0, 72, 9), (-4, 0, 8, 9), (192, 0, 206, 9), (60, -6, 72, 4)])
def test_a_small_object_at_the_upper_edge_is_not_under_its_label(box: tuple[int, int, int, int]) -> None:
    _, y1, _, _ = plate(draw_labels(blank(), [Label("cat", box, RED)], 14), RED)
    assert y1 > box[3]


def test_a_label_over_its_object_is_better_than_none() -> None:
    assert plate(draw_labels(blank(20, 60), [Label("cat", (20, 4, 40, 14), RED)], 14), RED) is not None


def test_labels_do_not_cover_each_other() -> None:
    box = (40, 50, 90, 100)
    picture = draw_labels(blank(), [Label("first", box, RED), Label("second", box, GREEN)], 14)
    first, second = plate(picture, RED), plate(picture, GREEN)
    assert first[3] <= second[1] or second[3] <= first[1]


def test_without_a_free_place_the_later_label_is_left_out() -> None:
    box = (2, 2, 6, 6)
    picture = draw_labels(blank(20, 60), [Label("first", box, RED), Label("second", box, GREEN)], 14)
    assert plate(picture, RED) is not None and plate(picture, GREEN) is None


def test_a_label_wider_than_the_picture() -> None:
    picture = draw_labels(blank(40, 30), [Label("a very long class name 0.99", (5, 20, 9, 30), RED)], 14)
    assert picture.shape == (40, 30, 3) and plate(picture, RED)[0] == 0


def occupied(*objects: tuple[int, tuple[int, int, int, int]]) -> Occupancy:
    occupancy = Occupancy((120, 200), 5)
    for index, (x1, y1, x2, y2) in objects:
        occupancy.add(index, np.ones((y2 - y1, x2 - x1), np.uint8), (x1, y1, x2, y2))
    return occupancy


def test_a_label_does_not_lie_on_another_object() -> None:
    """One above, one below: it goes to the right. With others all around it is left out, even inside, as its own is."""
    above, below = (1, (30, 20, 120, 48)), (2, (30, 86, 120, 118))
    label = Label("cat", (40, 50, 90, 84), RED, index=0)
    x1, y1, _, _ = plate(draw_labels(blank(), [label], 14, occupied((0, (40, 50, 90, 84)), above, below)), RED)
    assert x1 >= 90 and y1 >= 48
    small = Label("a long name", (60, 60, 70, 70), RED, index=0)
    around = [(1, (0, 0, 200, 58)), (2, (0, 60, 58, 120)), (3, (72, 60, 200, 120)), (4, (58, 72, 72, 120))]
    few = Occupancy((120, 200), 5)
    for index, (bx1, by1, bx2, by2) in [*around, (0, (60, 60, 70, 70))]:
        few.add(index, np.ones((by2 - by1, bx2 - bx1), np.uint8), (bx1, by1, bx2, by2))
    few._areas.update(dict.fromkeys(range(5), 100.0))
    assert plate(draw_labels(blank(), [small], 14, few), RED) is None


def test_a_much_larger_object_is_background() -> None:
    house, window = (1, (0, 0, 200, 120)), (0, (80, 60, 100, 80))
    label = Label("cat", (80, 60, 100, 80), RED, index=0)
    _, _, _, y2 = plate(draw_labels(blank(), [label], 14, occupied(house, window)), RED)
    assert y2 <= 61, "above the window, on the house"


def test_the_legend_stands_in_the_emptiest_corner_and_counts_what_it_leaves_out() -> None:
    entries: list[tuple[str, Colour]] = [("cat", RED), ("dog", GREEN)]
    picture = blank()
    draw_legend(picture, entries, 14, occupied((0, (0, 0, 200, 60)), (1, (120, 60, 200, 120))))
    x1, y1, _, _ = plate(picture, RED)
    assert x1 < 60 and y1 > 60 and plate(picture, GREEN)[1] > y1
    small = blank(40, 200)
    draw_legend(small, [(f"class {i}", (0, i, 0)) for i in range(50)], 14, occupied())
    assert small.shape == (40, 200, 3)
