from __future__ import annotations

import colorsys
from collections import Counter

import numpy as np
import pytest

from maskrcnn.config import Augmentation
from maskrcnn.data.colour import ColourChange, change_channels, change_colours, draw_colour_change

IMAGE = np.random.default_rng(0).integers(60, 190, (16, 16, 3), dtype=np.uint8)
GREY = np.array([0.299, 0.587, 0.114])


def test_no_change_is_the_same_image() -> None:
    assert change_colours(IMAGE, ColourChange()) is IMAGE


def test_brightness_is_a_factor() -> None:
    changed = change_colours(np.array([[[100, 50, 200]]], np.uint8), ColourChange(brightness=1.5))
    assert changed.tolist() == [[[150, 75, 255]]]


def test_contrast_moves_away_from_the_mean_grey() -> None:
    image = np.array([[[100] * 3, [140] * 3]], np.uint8)
    assert change_colours(image, ColourChange(contrast=1.5))[0, :, 0].tolist() == [90, 150]
    # brightness first: 50 and 70, whose mean 60 stays
    assert change_colours(image, ColourChange(brightness=0.5, contrast=2.0))[0, :, 0].tolist() == [40, 80]


def test_no_saturation_is_grey() -> None:
    changed = change_colours(IMAGE, ColourChange(saturation=0.0))
    np.testing.assert_allclose(changed, np.repeat((IMAGE @ GREY)[..., None], 3, axis=2), atol=1.0)


def test_saturation_keeps_the_grey() -> None:
    changed = change_colours(IMAGE, ColourChange(saturation=1.3))
    np.testing.assert_allclose(changed @ GREY, IMAGE @ GREY, atol=1.0)
    assert np.ptp(changed.astype(int), axis=2).sum() > np.ptp(IMAGE.astype(int), axis=2).sum()


@pytest.mark.parametrize("turns", [-0.05, 0.05, 0.1])
def test_hue_turns_the_right_way_and_keeps_the_grey(turns: float) -> None:
    image = np.full((1, 1, 3), (150, 100, 80), np.uint8)
    changed = change_colours(image, ColourChange(hue=turns))
    before, after = (colorsys.rgb_to_hsv(*(v[0, 0] / 255)) for v in (image, changed))
    shift = (after[0] - before[0] + 0.5) % 1 - 0.5
    assert shift == pytest.approx(turns, abs=0.04)  # YIQ's circle and HSV's differ a little
    assert float(changed[0, 0] @ GREY) == pytest.approx(float(image[0, 0] @ GREY), abs=1.0)


def test_grey_pictures_have_no_hue() -> None:
    grey = np.repeat(IMAGE[..., :1], 3, axis=2)
    changed = change_colours(grey, ColourChange(hue=0.2, saturation=1.5))
    np.testing.assert_allclose(changed.astype(int), grey, atol=1)


def test_a_whole_turn_is_nothing() -> None:
    np.testing.assert_allclose(change_colours(IMAGE, ColourChange(hue=1.0)).astype(int), IMAGE, atol=1)


def test_other_strides_and_read_only_input() -> None:
    image = IMAGE[::-1, ::2]
    image.flags.writeable = False
    expected = change_colours(np.ascontiguousarray(image), ColourChange(brightness=1.2, hue=0.1))
    np.testing.assert_array_equal(change_colours(image, ColourChange(brightness=1.2, hue=0.1)), expected)


def test_drawn_changes_stay_in_range_and_fill_it() -> None:
    generator = np.random.default_rng(0)
    drawn = [
        draw_colour_change(Augmentation(brightness=0.3, contrast=0.2, saturation=0.0, hue=0.05), generator)
        for _ in range(400)
    ]
    for name, low, high in (("brightness", 0.7, 1.3), ("contrast", 0.8, 1.2), ("hue", -0.05, 0.05)):
        values = np.array([getattr(change, name) for change in drawn])
        assert low <= values.min() < low + 0.05 * (high - low) and high - 0.05 * (high - low) < values.max() <= high
    assert {change.saturation for change in drawn} == {1.0}


def test_strength_zero_changes_nothing() -> None:
    assert draw_colour_change(Augmentation(), np.random.default_rng(0)) == ColourChange()


def test_the_negative_is_what_is_missing_to_white() -> None:
    np.testing.assert_array_equal(change_colours(IMAGE, ColourChange(negative=True)), 255 - IMAGE)


def test_the_negative_is_that_of_the_changed_image() -> None:
    changes = {"brightness": 1.3, "contrast": 0.8, "saturation": 0.5, "hue": 0.1}
    changed = change_colours(IMAGE, ColourChange(**changes))
    negative = change_colours(IMAGE, ColourChange(**changes, negative=True))
    np.testing.assert_allclose(negative.astype(int), 255 - changed.astype(int), atol=1)


def test_the_negative_of_clipped_values_is_clipped_once() -> None:
    white = np.full((1, 1, 3), 200, np.uint8)
    assert change_colours(white, ColourChange(brightness=1.5, negative=True)).tolist() == [[[0, 0, 0]]]


def test_grey_and_negative_come_as_often_as_asked_and_apart_from_each_other() -> None:
    generator = np.random.default_rng(0)
    drawn = [draw_colour_change(Augmentation(saturation=0.3, grey=0.25, negative=0.5), generator) for _ in range(2000)]
    pairs = Counter((change.saturation == 0.0, change.negative) for change in drawn)
    for (is_grey, _), count in pairs.items():
        assert count / 2000 == pytest.approx((0.25 if is_grey else 0.75) * 0.5, abs=0.04)
    assert len(pairs) == 4


def test_probabilities_of_zero_and_one() -> None:
    for seed in range(20):
        always = draw_colour_change(Augmentation(saturation=0.3, grey=1.0, negative=1.0), np.random.default_rng(seed))
        assert (always.saturation, always.negative) == (0.0, True)
        never = draw_colour_change(Augmentation(saturation=0.3), np.random.default_rng(seed))
        assert never.saturation != 0.0 and not never.negative


def test_what_else_is_drawn_does_not_depend_on_grey_and_negative() -> None:
    one, other = (
        draw_colour_change(Augmentation(brightness=0.3, hue=0.1, grey=share, negative=share), np.random.default_rng(3))
        for share in (0.0, 1.0)
    )
    assert (one.brightness, one.hue) == (other.brightness, other.hue)


@pytest.mark.parametrize(
    ("strength", "changed"),
    [
        *((name, name) for name in ("brightness", "contrast", "saturation", "hue", "negative")),
        ("grey", "saturation"),
    ],
)
def test_every_strength_reaches_its_colour_change(strength: str, changed: str) -> None:
    change = draw_colour_change(Augmentation(**{strength: 1.0}), np.random.default_rng(0))
    unchanged = ColourChange()
    assert {name for name, value in vars(change).items() if value != getattr(unchanged, name)} == {changed}


def test_channels_change_each_by_itself() -> None:
    """Worked by hand: means 60 and 100, brightened by 1.5 to 90 and 150, and the contrast doubled around these."""
    image = np.array([[[40, 100], [80, 100]]], np.uint8)
    changed = change_channels(image, ColourChange(brightness=1.5, contrast=2.0))
    assert changed.tolist() == [[[30, 150], [150, 150]]]
    assert change_channels(image, ColourChange(negative=True)).tolist() == [[[215, 155], [175, 155]]]
    assert change_channels(image, ColourChange(brightness=3.0))[0, 1].tolist() == [240, 255]


def test_what_concerns_colours_leaves_channels_alone() -> None:
    image = np.zeros((2, 3, 7), np.uint8)
    assert change_channels(image, ColourChange(saturation=0.5, hue=0.3)) is image


def test_grey_as_three_channels_changes_as_rgb_does() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (9, 9, 1), np.uint8).repeat(3, axis=2)
    for change in (ColourChange(brightness=0.8, contrast=1.3), ColourChange(contrast=0.7, negative=True)):
        assert np.abs(change_channels(grey, change).astype(int) - change_colours(grey, change)).max() <= 1
