"""Images of which the network sees too little: counted for the command, a warning in Python."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from large.drawn import find_colours
from maskrcnn.config import Config, InputConfig, SemanticHeadConfig
from maskrcnn.large.shrinking import Shrinking, ShrunkImage, lost_scale, warned
from maskrcnn.prediction import Prediction

OWN_SIZE = Config(input=InputConfig(min_size=400, max_size=640, shrink=False))


def test_images_that_lose_most_of_their_size_are_named_once() -> None:
    shrinking = Shrinking(Config())  # sides of at most 1333 pixels
    for size in ((600, 800), (3000, 4000), (9000, 12000), (8000, 6000)):
        shrinking.add(size)
    assert shrinking.num_images == 2 and shrinking.largest_size == (9000, 12000)
    warning = shrinking.warning() or ""
    assert "2 images were" in warning and "11.3 times (12000 x 9000" in warning and "--tile 768" in warning


def test_a_model_of_every_pixel_is_not_told_of_tiles() -> None:
    shrinking = Shrinking(Config(semantic_head=SemanticHeadConfig(enabled=True)))
    shrinking.add((9000, 12000))
    warning = shrinking.warning() or ""
    assert "11.3 times (12000 x 9000" in warning and "input.max_size" in warning and "--tile" not in warning


def test_what_shrinks_a_little_or_grows_is_not_mentioned() -> None:
    shrinking = Shrinking(Config())
    for size in ((3000, 4000), (10, 10), (3200, 3200)):
        shrinking.add(size)
    assert shrinking.warning() is None


@pytest.mark.parametrize(
    ("config", "size", "scale"),
    [
        (OWN_SIZE, (600, 640), None),
        (OWN_SIZE, (600, 800), 0.8),  # smaller than any image in training
        (OWN_SIZE, (30, 2560), 0.25),
        (Config(), (3000, 4000), None),  # a photograph, for a model that saw photographs at 800 x 1333
        (Config(), (800, 13330), 0.1),
        (Config(), (20_000, 10_001), 1333 / 20_000),
    ],
)
def test_the_scale_at_which_something_is_lost(config: Config, size: tuple[int, int], scale: float | None) -> None:
    assert lost_scale(size, config) == (None if scale is None else pytest.approx(scale))


def test_a_warning_once_a_call_at_the_first_such_image() -> None:
    (found,) = find_colours([np.zeros((8, 6, 3), np.uint8)])
    small = replace(found, shrunk=0.25)

    def predictions() -> Iterator[Prediction]:
        yield from (found, small, small)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert list(warned(predictions())) == [found, small, small] and list(warned([found])) == [found]
    assert [warning.category for warning in said] == [ShrunkImage]
    assert "an image of 6 x 8 pixels was made 4.0 times smaller" in str(said[0].message)
    assert "predict_large" in str(said[0].message)
    with pytest.warns(ShrunkImage, match=r"input\.max_size") as said:
        list(warned([replace(small, semantic=np.zeros((8, 6), np.uint8))]))
    assert "predict_large" not in str(said[0].message)
