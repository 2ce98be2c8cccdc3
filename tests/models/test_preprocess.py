from __future__ import annotations

from typing import Any

import pytest
import torch

from maskrcnn.build import build_preprocess
from maskrcnn.config import Config, InputConfig
from maskrcnn.errors import UserError
from maskrcnn.models.preprocess import Preprocess
from maskrcnn.structures import Detections


def make(**settings: Any) -> Preprocess:
    return build_preprocess(Config(input=InputConfig(**settings)))


def test_short_side_and_long_side_cap() -> None:
    preprocess = make(min_size=80, max_size=100)
    assert preprocess.resize(torch.rand(3, 40, 44)).shape == (3, 80, 88)
    assert preprocess.resize(torch.rand(3, 40, 80)).shape == (3, 50, 100)
    assert preprocess.resize(torch.rand(3, 200, 160)).shape == (3, 100, 80)


def test_without_shrinking_only_the_cap_makes_images_smaller() -> None:
    preprocess = make(min_size=80, max_size=200, shrink=False)
    assert preprocess.resize(torch.rand(3, 90, 100)).shape == (3, 90, 100)
    assert preprocess.resize(torch.rand(3, 300, 400)).shape == (3, 150, 200)
    assert preprocess.resize(torch.rand(3, 40, 40)).shape == (3, 80, 80)


def test_normalised_and_padded_with_zeros() -> None:
    preprocess = make(min_size=32, max_size=64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    batch = preprocess.batch([torch.ones(3, 40, 33), torch.zeros(3, 20, 50)])
    assert batch.pixels.shape == (2, 3, 64, 64)
    assert batch.pixels.is_contiguous(memory_format=torch.channels_last)
    assert batch.sizes == ((40, 33), (20, 50))
    assert (batch.pixels[0, :, :40, :33] == 2).all() and (batch.pixels[1, :, :20, :50] == -2).all()
    assert batch.pixels[0, :, 40:].eq(0).all() and batch.pixels[1, :, :, 50:].eq(0).all()


def test_boxes_go_back_to_the_original_frame() -> None:
    preprocess = make(min_size=80, max_size=200)
    batch = preprocess.prepare([torch.rand(3, 40, 50)])
    assert batch.sizes == ((80, 100),) and batch.original_sizes == ((40, 50),)
    found = Detections(
        torch.tensor([[10.0, 20, 100, 80]]), torch.ones(1), torch.zeros(1, dtype=torch.int64), None, (80, 100)
    )
    (restored,) = preprocess.to_original([found], batch)
    assert restored.boxes.tolist() == [[5, 10, 50, 40]] and restored.image_size == (40, 50)


def test_any_number_of_channels() -> None:
    preprocess = make(min_size=32, max_size=64, channels=4, mean=(0.0, 0.25, 0.5, 0.75), std=(1.0, 1.0, 0.5, 0.25))
    batch = preprocess.prepare([torch.ones(4, 32, 32)])
    assert batch.pixels.shape == (1, 4, 32, 32) and batch.pixels[0, :, 0, 0].tolist() == [1, 0.75, 1, 1]
    for channels in (1, 3, 5):  # one channel would otherwise be taken for each of the four
        with pytest.raises(UserError, match=rf"image: expected 4 channel\(s\) \(input.channels\), got {channels}"):
            preprocess.batch([torch.rand(channels, 32, 32)])


def test_a_padded_size_from_outside() -> None:
    preprocess = make(min_size=32, max_size=64)
    images = [torch.rand(3, 40, 33), torch.rand(3, 20, 50)]
    usual, wide = preprocess.batch(images), preprocess.batch(images, padded=(64, 96))
    assert wide.pixels.shape == (2, 3, 64, 96) and wide.sizes == usual.sizes
    assert torch.equal(wide.pixels[..., :64], usual.pixels) and not wide.pixels[..., 64:].any()
    with pytest.raises(ValueError, match="padded: expected at least"):
        preprocess.batch(images, padded=(39, 64))
