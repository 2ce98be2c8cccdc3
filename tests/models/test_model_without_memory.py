"""A model of mere shapes: the same names and shapes, and everything that no file would bring."""

from __future__ import annotations

import pytest
import torch

from maskrcnn.build import build_model, build_model_without_memory
from maskrcnn.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_it_is_the_model_without_its_weights(name: str) -> None:
    config = PRESETS[name]()
    shapes = build_model_without_memory(config, 3)
    state = shapes.state_dict()
    assert {tensor.device.type for tensor in state.values()} == {"meta"}
    assert {name for name, buffer in shapes.named_buffers() if buffer.device.type == "cpu"} == {
        name for name, _ in shapes.named_buffers() if name not in state
    }


def test_shapes_strides_and_computed_buffers_are_those_of_the_real_model() -> None:
    config = PRESETS["tiny"]()
    shapes, real = build_model_without_memory(config, 3), build_model(config, 3)
    assert [(n, t.shape, t.stride()) for n, t in shapes.state_dict().items()] == [
        (n, t.shape, t.stride()) for n, t in real.state_dict().items()
    ]
    for (_, ours), (_, theirs) in zip(shapes.named_buffers(), real.named_buffers(), strict=True):
        if ours.device.type == "cpu":
            torch.testing.assert_close(ours, theirs)
