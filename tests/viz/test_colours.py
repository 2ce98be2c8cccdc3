from __future__ import annotations

import math

import numpy as np

from maskrcnn.viz.colours import instance_colour, luma, text_colour
from maskrcnn.viz.overlay import BRIGHT


def test_a_number_always_has_the_same_colour() -> None:
    assert [instance_colour(i) for i in range(50)] == [instance_colour(i) for i in range(50)]


def test_colours_of_one_picture_differ() -> None:
    colours = [instance_colour(i) for i in range(60)]
    assert len(set(colours)) == 60
    for index, colour in enumerate(colours):
        for other in colours[max(index - 6, 0) : index]:
            assert math.dist(colour, other) > 60, (colour, other)


def test_colours_stand_out_from_a_dark_image() -> None:
    assert all(luma(instance_colour(i)) > 95 for i in range(200))
    assert all(0 <= channel <= 255 for i in range(200) for channel in instance_colour(i))


def test_text_contrasts_with_its_plate() -> None:
    assert text_colour((255, 255, 0)) == (0, 0, 0)
    assert text_colour((30, 30, 200)) == (255, 255, 255)


def lab(colours: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor((colours[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]


def test_the_first_ten_and_all_of_a_legend_are_told_apart() -> None:
    """Distances in CIE L*a*b*; 2.3 is just noticeable side by side."""
    places = lab(np.array([instance_colour(i) for i in range(24)], np.float32))
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + 1000 * np.eye(24)
    assert distances[:10, :10].min() > 35 and distances.min() > 18


def test_lines_stand_off_every_grey() -> None:
    """A colour itself on dark images, itself or the black beside it on bright ones."""
    greys = lab(np.repeat(np.arange(256, dtype=np.float32)[:, None], 3, axis=1))
    for colour in lab(np.array([instance_colour(i) for i in range(60)], np.float32)):
        own, black = np.linalg.norm(greys - colour, axis=1), np.linalg.norm(greys - greys[:1], axis=1)
        assert own[: int(BRIGHT) + 1].min() > 30 and np.maximum(own, black)[int(BRIGHT) :].min() > 30
