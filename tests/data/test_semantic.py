"""The class of every pixel, drawn from objects that lie on one another."""

from __future__ import annotations

import math

import numpy as np

from maskrcnn.data.geometry import View
from maskrcnn.data.semantic import draw_semantic
from maskrcnn.masks.polygons import polygon_to_rle
from maskrcnn.structures import RLE, Polygons
from maskrcnn.structures.labels import ImageEntry, LabelStore, ObjectEntry, StoreBuilder
from maskrcnn.structures.masks import ByteArray
from maskrcnn.structures.semantic import IGNORED

SIZE = (4, 6)
VALUES = np.arange(3, dtype=np.uint8)
BACKGROUND = 3
Box = tuple[float, float, float, float]


def rectangle(box: Box) -> Polygons:
    x1, y1, x2, y2 = box
    return Polygons((np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64),))


def store_of(*objects: tuple[int, Box, Polygons | RLE | None, bool]) -> LabelStore:
    """One image of objects (label, box, mask, ignored); all state the same area, which is not asked."""
    builder = StoreBuilder()
    entries = [
        ObjectEntry(number, label, box, mask, ignore, area=math.nan)
        for number, (label, box, mask, ignore) in enumerate(objects)
    ]
    builder.add_image(ImageEntry(1, "1.png", SIZE), entries)
    return builder.build()


def thing(label: int, *box: float, ignore: bool = False) -> tuple[int, Box, Polygons, bool]:
    x1, y1, x2, y2 = box
    return label, (x1, y1, x2, y2), rectangle((x1, y1, x2, y2)), ignore


def draw(store: LabelStore, view: View | None = None) -> ByteArray:
    return draw_semantic(store, 0, view or View.whole(SIZE), VALUES, BACKGROUND)


def test_the_smallest_object_owns_a_pixel_in_whatever_order_they_come() -> None:
    large, small = thing(0, 0, 0, 6, 2), thing(1, 1, 0, 3, 2)
    expected = [[0, 1, 1, 0, 0, 0]] * 2 + [[3] * 6] * 2
    assert draw(store_of(large, small)).tolist() == expected
    assert draw(store_of(small, large)).tolist() == expected


def test_of_equally_large_objects_the_later() -> None:
    first, second = thing(0, 0, 0, 2, 1), thing(1, 1, 0, 3, 1)
    assert draw(store_of(first, second))[0].tolist() == [0, 1, 1, 3, 3, 3]
    assert draw(store_of(second, first))[0].tolist() == [0, 0, 1, 3, 3, 3]


def test_run_lengths_and_polygons_are_compared() -> None:
    label, box, mask, ignore = thing(1, 1, 0, 3, 2)
    small = (label, box, polygon_to_rle(mask, SIZE), ignore)
    assert draw(store_of(small, thing(0, 0, 0, 6, 2))).tolist()[0] == [0, 1, 1, 0, 0, 0]


def test_nobody_knows_what_a_crowd_hides_but_for_the_objects_on_it() -> None:
    crowd = thing(2, 0, 0, 4, 2, ignore=True)
    boxed: tuple[int, Box, None, bool] = (2, (4.5, 3, 6, 4), None, True)  # known by its box: every pixel it touches
    drawn = draw(store_of(thing(0, 0, 0, 6, 1), crowd, boxed))
    assert drawn.tolist() == [
        [0] * 6,
        [IGNORED] * 4 + [3, 3],
        [3] * 6,
        [3, 3, 3, 3, IGNORED, IGNORED],
    ]


def test_a_view_shows_what_it_shows_of_the_image() -> None:
    store = store_of(thing(0, 0, 0, 6, 2), thing(1, 0, 0, 2, 2), thing(2, 4, 2, 6, 4, ignore=True))
    whole = draw(store)
    assert np.array_equal(draw(store, View.whole(SIZE).flip(horizontal=True)), whole[:, ::-1])
    part = View((0, 0, 3, 2), (4, 6))  # the upper left, twice as large
    assert np.array_equal(draw(store, part), whole[:2, :3].repeat(2, axis=0).repeat(2, axis=1))
    lower_left = View((0, 2, 3, 4), (2, 3))
    assert (draw(store, lower_left) == BACKGROUND).all()


def test_an_ignored_box_outside_a_view_is_not_seen() -> None:
    boxed: tuple[int, Box, None, bool] = (2, (0, 0, 2, 2), None, True)
    assert (draw(store_of(boxed), View((3, 2, 6, 4), (2, 3))) == BACKGROUND).all()


def test_an_image_without_objects_is_background_and_classes_stand_for_what_is_said() -> None:
    assert (draw(store_of()) == BACKGROUND).all()
    values = np.array([7, IGNORED, 9], np.uint8)
    store = store_of(thing(0, 0, 0, 1, 1), thing(1, 1, 0, 2, 1), thing(2, 2, 0, 3, 1))
    assert draw_semantic(store, 0, View.whole(SIZE), values, 5)[0].tolist() == [7, IGNORED, 9, 5, 5, 5]
