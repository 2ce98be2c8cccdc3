from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from maskrcnn.config import Augmentation, InputConfig
from maskrcnn.data.geometry import View
from maskrcnn.data.transforms import draw_crop, draw_size, draw_view

NO_BOXES = np.zeros((0, 4))
PLAIN = Augmentation(horizontal_flip=0.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_defaults_only_resize() -> None:
    assert draw_view((480, 640), NO_BOXES, PLAIN, InputConfig(), rng()) == View((0, 0, 640, 480), (800, 1066))


def test_long_side_is_limited() -> None:
    assert draw_size((100, 400), PLAIN, InputConfig(min_size=200, max_size=400), rng()) == (100, 400)


def test_sides_are_cut_off_or_rounded() -> None:
    """The long side would have 25.6 pixels."""
    assert draw_size((50, 128), PLAIN, InputConfig(min_size=10, rounding="down"), rng()) == (10, 25)
    assert draw_size((50, 128), PLAIN, InputConfig(min_size=10, rounding="nearest"), rng()) == (10, 26)


def test_images_need_not_shrink() -> None:
    assert draw_size((50, 80), PLAIN, InputConfig(min_size=10, shrink=False), rng()) == (50, 80)


def test_min_size_is_one_of_those_given() -> None:
    augmentation, sizes = Augmentation(min_sizes=(10, 20, 30)), InputConfig(min_size=15, max_size=100)
    drawn = Counter(draw_size((50, 60), augmentation, sizes, rng(seed)) for seed in range(300))
    assert set(drawn) == {(10, 12), (20, 24), (30, 36)} and min(drawn.values()) > 60


def test_scale_range() -> None:
    augmentation, sizes = Augmentation(scale_range=(0.5, 2.0)), InputConfig(min_size=100, max_size=1000)
    heights = [draw_size((50, 50), augmentation, sizes, rng(seed))[0] for seed in range(200)]
    assert 50 <= min(heights) < 60 and 190 < max(heights) <= 200


def test_scale_respects_the_long_side_but_not_of_crops() -> None:
    sizes, doubled = InputConfig(min_size=100, max_size=120), Augmentation(scale_range=(2.0, 2.0))
    assert draw_size((100, 100), doubled, sizes, rng()) == (120, 120)
    assert draw_size((100, 100), replace(doubled, crop_size=64), sizes, rng()) == (200, 200)


def test_tiny_scales_leave_a_pixel() -> None:
    assert draw_size((3, 3), Augmentation(scale_range=(0.1, 0.1)), InputConfig(min_size=3, max_size=10), rng()) == (
        1,
        1,
    )


@pytest.mark.parametrize("seed", range(30))
def test_crops_lie_inside_and_have_their_size(seed: int) -> None:
    view = draw_crop((90, 200), (180, 400), NO_BOXES, 128, rng(seed))
    x1, y1, x2, y2 = view.window
    assert (x2 - x1, y2 - y1) == (64, 64) and view.size == (128, 128)
    assert x1 >= 0 and y1 >= 0 and x2 <= 200 and y2 <= 90


def test_crops_reach_every_edge() -> None:
    views = [draw_crop((20, 20), (20, 20), NO_BOXES, 15, rng(seed)) for seed in range(200)]
    assert {view.window[0] for view in views} == set(range(6)) == {view.window[1] for view in views}


def test_sides_shorter_than_the_crop_stay_whole() -> None:
    view = draw_crop((90, 200), (45, 100), NO_BOXES, 64, rng())
    assert view.size == (45, 64) and view.window[1::2] == (0, 90)
    assert view.window[2] - view.window[0] == 128


def test_crops_prefer_objects() -> None:
    """One small object in a large image: by chance a crop would contain its centre once in a hundred times."""
    boxes = np.array([[700.0, 300.0, 710.0, 310.0]])
    views = [draw_crop((1000, 1000), (1000, 1000), boxes, 100, rng(seed)) for seed in range(400)]
    hits = [x1 <= 705 < x2 and y1 <= 305 < y2 for x1, y1, x2, y2 in (view.window for view in views)]
    assert 0.68 < np.mean(hits) < 0.83
    assert len({view.window for view, hit in zip(views, hits, strict=True) if hit}) > 200


def test_crops_around_objects_at_the_border() -> None:
    boxes = np.array([[99.5, 99.5, 100.0, 100.0]])
    for seed in range(50):
        x1, y1, x2, y2 = draw_crop((100, 100), (100, 100), boxes, 32, rng(seed)).window
        assert x1 >= 0 and y1 >= 0 and x2 <= 100 and y2 <= 100


@pytest.mark.parametrize("seed", range(20))
def test_crop_of_the_smallest_image(seed: int) -> None:
    view = draw_crop((1, 1), (512, 512), np.array([[0.0, 0.0, 1.0, 1.0]]), 256, rng(seed))
    assert view.window == (0, 0, 1, 1) and view.size == (256, 256)


def test_every_turn_and_flip_is_drawn() -> None:
    augmentation = Augmentation(quarter_turns=True, horizontal_flip=0.5, vertical_flip=0.5)
    drawn = Counter(
        (view.transposed, view.flipped_x, view.flipped_y)
        for view in (
            draw_view((4, 4), NO_BOXES, augmentation, InputConfig(min_size=4), rng(seed)) for seed in range(400)
        )
    )
    assert len(drawn) == 8 and min(drawn.values()) > 25


@pytest.mark.parametrize(("horizontal", "vertical"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_flips_have_their_own_probability(horizontal: float, vertical: float) -> None:
    augmentation = Augmentation(horizontal_flip=horizontal, vertical_flip=vertical)
    for seed in range(10):
        view = draw_view((4, 4), NO_BOXES, augmentation, InputConfig(min_size=4), rng(seed))
        assert (view.flipped_x, view.flipped_y) == (bool(horizontal), bool(vertical))


def test_same_generator_same_view() -> None:
    augmentation = Augmentation(crop_size=64, scale_range=(0.5, 2.0), quarter_turns=True, horizontal_flip=0.5)
    boxes = np.array([[5.0, 5.0, 50.0, 60.0]])
    views = [draw_view((300, 200), boxes, augmentation, InputConfig(min_size=4), rng(seed)) for seed in (1, 1, 2)]
    assert views[0] == views[1] != views[2]
