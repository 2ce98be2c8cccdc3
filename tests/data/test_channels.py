"""Which channels are drawn, and how."""

from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.config import InputConfig
from maskrcnn.data.channels import RGB, Channels
from maskrcnn.errors import UserError
from maskrcnn.presets import preset
from maskrcnn.settings import config_from_dict, config_to_dict, update_config

RAMP = np.arange(100, 201, dtype=np.uint8).reshape(1, 101)
"""Its 0.1st and 99.9th percentiles are 100.1 and 199.9."""


def test_rgb_is_drawn_as_it_is() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    assert RGB.picture(pixels) is pixels
    assert Channels.of(InputConfig()) == RGB


def test_channels_are_stretched_for_the_eye() -> None:
    pixels = np.stack([RAMP, RAMP // 2, np.full_like(RAMP, 7), 255 - RAMP], axis=2)
    drawn = Channels(4, rgb=False).picture(pixels)
    # 150 lies in the middle of 100.1 to 199.9: (150 - 100.1) * 255 / 99.8 = 127.5, and 101 is (0.9 * 255 / 99.8) = 2.3
    assert drawn[0, [0, 1, 100], 0].tolist() == [0, 2, 255] and drawn[0, 50, 0] in (127, 128)
    assert drawn[0, [0, 100], 1].tolist() == [0, 255] and not drawn[..., 2].any()
    other = Channels(4, rgb=False, drawn=(3, 3, 0)).picture(pixels)
    assert np.array_equal(other[..., 2], drawn[..., 0]) and other[0, [0, 100], 1].tolist() == [255, 0]


@pytest.mark.parametrize(("count", "same"), [(1, [(0, 1), (1, 2)]), (2, [(1, 2)])])
def test_of_few_channels_the_last_is_drawn_again(count: int, same: list[tuple[int, int]]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, count), np.uint8)
    drawn = Channels.of(InputConfig(channels=count, mean=(), std=())).picture(pixels)
    assert all(np.array_equal(drawn[..., a], drawn[..., b]) for a, b in same) and drawn.shape == (9, 9, 3)


def test_another_number_of_channels_leaves_means_open() -> None:
    light = preset("light")
    five = update_config(light, {"input": {"channels": 5, "drawn_channels": [4, 0, 2]}}, "here")
    assert (five.input.mean, five.input.std, five.input.drawn_channels) == ((), (), (4, 0, 2))
    assert config_from_dict(config_to_dict(five)) == five
    assert update_config(five, {"input": {"channels": 5}}, "here") == five
    assert update_config(light, {"input": {"channels": 3}}, "here") == light
    assert update_config(light, {"input": {"rgb": False}}, "here").input.mean == ()
    given = update_config(light, {"input": {"channels": 1, "mean": [0.5], "std": [0.25]}}, "here")
    assert (given.input.mean, given.input.std) == ((0.5,), (0.25,))


@pytest.mark.parametrize(
    "settings",
    [
        {"channels": 5},
        {"channels": 5, "mean": (), "std": (1.0,) * 5},
        {"mean": (0.5,) * 2, "std": (0.5,) * 2},
        {"drawn_channels": (0, 1, 3)},
        {"drawn_channels": (0, 1)},
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"input\.(mean|std|drawn_channels): expected "):
        InputConfig(**settings)  # type: ignore[arg-type]
