from __future__ import annotations

import math

from maskrcnn.viz.colours import instance_colour, luma, text_colour


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
