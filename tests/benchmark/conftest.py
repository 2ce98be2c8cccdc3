"""Tiny models to measure."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskrcnn.benchmark.measure import synthetic_images
from maskrcnn.build import build_model
from maskrcnn.config import Config
from maskrcnn.model import Model
from maskrcnn.presets import preset
from maskrcnn.structures import Categories

CATEGORIES = Categories((3, 7), ("round", "long"))


def make_model(config: Config) -> Model:
    """Random weights, small inputs."""
    torch.manual_seed(0)
    config = replace(config, input=replace(config.input, min_size=64, max_size=96))
    return Model(build_model(config, 2), CATEGORIES, config)


@pytest.fixture(scope="session")
def tiny() -> Model:
    return make_model(preset("tiny"))


@pytest.fixture(scope="session")
def images() -> list[torch.Tensor]:
    return synthetic_images(3, (64, 80))
