"""Small models with random weights, and one image to send through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from maskrcnn.build import build_model
from maskrcnn.inspection import Trace, trace_image
from maskrcnn.model import Model
from maskrcnn.presets import tiny
from maskrcnn.structures import Categories, KeypointSchema
from maskrcnn.structures.masks import ByteArray

MakeModel = Callable[..., Model]

ONE_LEVEL = {
    "backbone": {"features": "c4", "name": "resnet50"},
    "resnet": {"stem_channels": 8},
    "anchors": {"sizes": ((16.0, 32.0, 64.0),)},
    "box_head": {"pooled_size": 14, "num_fcs": 0},
    "mask_head": {"num_convs": 0},
}


POINTS = KeypointSchema(tuple(f"point <{i}>" for i in range(14)), ((0, 1), (1, 2), (2, 13)))
KEYPOINTS = {"enabled": True, "num_convs": 1, "channels": 8}


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """`tiny` at 128 pixels with three classes, and with settings of its sections replaced."""

    def make(num_classes: int = 3, one_level: bool = False, **sections: dict[str, object]) -> Model:
        base = replace(tiny(), input=replace(tiny().input, min_size=128, max_size=200))
        sections = {**(ONE_LEVEL if one_level else {}), **sections}
        config = replace(base, **{name: replace(getattr(base, name), **values) for name, values in sections.items()})
        torch.manual_seed(0)
        network = build_model(config, num_classes, len(POINTS))
        if network.box_head is not None:  # fresh weights give all classes and boxes alike
            torch.nn.init.normal_(network.box_head.class_logits.weight, std=0.5)
            torch.nn.init.normal_(network.box_head.deltas.weight, std=0.1)
        names = tuple(f"class <{i}>" for i in range(num_classes))
        schemas = (POINTS,) * num_classes if config.keypoint_head.enabled else ()
        return Model(network, Categories(tuple(range(1, num_classes + 1)), names, schemas), config)

    return make


@pytest.fixture(scope="session")
def image() -> ByteArray:
    """Height 90, width 120, so that it is enlarged and padded."""
    return np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def trace(make_model: MakeModel, image: ByteArray) -> Trace:
    """Object 2 of a pyramid model."""
    return trace_image(make_model(), image, number=2, score_threshold=0.1)
