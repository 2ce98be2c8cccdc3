from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from maskrcnn.build.model import build_preprocess
from maskrcnn.config import Config, InputConfig
from maskrcnn.errors import UserError
from maskrcnn.runtime.preprocess import Preprocess
from maskrcnn.structures.masks import ByteArray

SETTINGS = {
    "as trained here": InputConfig(min_size=96, max_size=160),
    "as torchvision": InputConfig(min_size=96, max_size=160, antialias=False),
    "as detectron2": InputConfig(
        min_size=96, max_size=160, rounding="nearest", mean=(0.4, 0.45, 0.5), std=(1 / 255,) * 3
    ),
    "never smaller": InputConfig(min_size=40, max_size=4000, shrink=False, size_divisor=8),
}


def picture(height: int, width: int, channels: int = 3) -> ByteArray:
    return np.random.default_rng(height).integers(0, 256, (height, width, channels)).astype(np.uint8)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_input_is_the_networks(name: str) -> None:
    settings = SETTINGS[name]
    images = [picture(50, 80), picture(131, 97), picture(300, 200)]
    theirs = build_preprocess(replace(Config(), input=settings))
    expected = theirs.prepare([torch.from_numpy(image).permute(2, 0, 1) for image in images])
    found = Preprocess(settings).prepare(images)
    assert found.sizes == expected.sizes and found.original_sizes == expected.original_sizes
    spread = 1 / min(settings.std)
    np.testing.assert_allclose(found.pixels, expected.pixels.numpy(), atol=min(3e-6 * spread, 1e-4), rtol=1e-5)
    for image in images:
        assert Preprocess(settings).padded_size(image) == theirs.padded_size(torch.from_numpy(image).permute(2, 0, 1))


def test_floats_are_values_from_0_to_1() -> None:
    image = picture(60, 60)
    preprocess = Preprocess(InputConfig(min_size=64, max_size=64))
    floats = preprocess.prepare([image.astype(np.float32) / np.float32(255)])
    np.testing.assert_array_equal(floats.pixels, preprocess.prepare([image]).pixels)


def test_another_number_of_channels() -> None:
    with pytest.raises(UserError, match=r"expected 3 channel\(s\) \(input\.channels\), got 4"):
        Preprocess(InputConfig()).prepare([picture(20, 20, 4)])
