"""Weights for RGB in a network for other channels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskrcnn.build import build_model
from maskrcnn.config import InputConfig
from maskrcnn.presets import preset
from maskrcnn.settings import update_config
from maskrcnn.structures import Categories
from maskrcnn.training.initial import Initial, read_initial, start_from
from maskrcnn.training.widening import can_widen, widened

CATS = Categories((1, 2), ("cat", "lynx"))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (1, [9.0]),
        (2, [4.5, 4.5]),
        (3, [1.0, 2.0, 6.0]),
        (4, [0.5, 2.0, 6.0, 0.5]),
        (5, [0.5, 1.0, 6.0, 0.5, 1.0]),
        (7, [1 / 3, 1.0, 3.0, 1 / 3, 1.0, 3.0, 1 / 3]),
    ],
)
def test_each_colour_is_shared_out(channels: int, expected: list[float]) -> None:
    """Weights 1, 2, 6 of red, green and blue, by hand; whatever N, equal channels of 10 give 10 * 9."""
    weight = widened(torch.tensor([1.0, 2.0, 6.0]).view(1, 3, 1, 1), channels)
    torch.testing.assert_close(weight.flatten(), torch.tensor(expected))
    image = torch.full((1, channels, 1, 1), 10.0)
    torch.testing.assert_close(torch.nn.functional.conv2d(image, weight).flatten(), torch.tensor([90.0]))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 9])
def test_equal_channels_give_what_grey_gave(channels: int) -> None:
    weight = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    grey = torch.randn(1, 1, 9, 9, generator=torch.Generator().manual_seed(1))
    before, after = (
        torch.nn.functional.conv2d(grey.expand(-1, n, -1, -1), w)
        for n, w in ((3, weight), (channels, widened(weight, channels)))
    )
    torch.testing.assert_close(before, after, rtol=0, atol=1e-5)


def test_only_rgb_becomes_something_else() -> None:
    rgb, other = InputConfig(), InputConfig(channels=5, mean=(), std=())
    three = InputConfig(rgb=False)
    assert can_widen(rgb, other) and can_widen(rgb, three)
    assert not any(can_widen(*pair) for pair in ((rgb, rgb), (other, rgb), (other, other), (three, other)))


def test_a_whole_model_starts_widened() -> None:
    tiny, open_ = preset("tiny"), update_config(preset("tiny"), {"input": {"channels": 4}}, "here")
    four = replace(open_, input=replace(open_.input, mean=(0.5,) * 4, std=(0.25,) * 4))
    torch.manual_seed(1)
    old = Initial("old", build_model(tiny, 2).state_dict(), tiny, CATS)
    torch.manual_seed(0)
    new = build_model(four, 2)
    count = len(old.weights)
    said = start_from(new, old, four, CATS)
    assert said == f"{count} of {count} weights from old; the first convolution widened from RGB to 4 channel(s)"
    unequal = {name: tensor for name, tensor in new.state_dict().items() if tensor.shape != old.weights[name].shape}
    ((name, first),) = unequal.items()
    assert torch.equal(first[:, 0], old.weights[name][:, 0] / 2) and torch.equal(first[:, 1], old.weights[name][:, 1])
    assert old.bind(open_).input == open_.input and old.bind(tiny).input == tiny.input


def test_the_bundled_backbone_starts_widened() -> None:
    config = update_config(preset("light"), {"input": {"channels": 6}}, "here")
    config = replace(config, input=replace(config.input, mean=(0.5,) * 6, std=(0.25,) * 6))
    said = start_from(build_model(config, 2), read_initial("efficientnet_lite0"), config, CATS)
    assert "the first convolution widened from RGB to 6 channel(s)" in said
