"""A graph of one node, and what an exported model says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from maskrcnn.config import Config
from maskrcnn.runtime.contract import Contract
from maskrcnn.structures import Categories

CONTRACT = Contract(
    replace(Config(), box_head=replace(Config().box_head, max_detections=7)),
    Categories((3, 7), ("round", "long")),
    ("pixels", "sizes"),
    ("boxes", "scores"),
    ("mask_head",),
    "cells",
    {"steps": 3},
    graph_crc32=5,
    measured={"objects": 2},
)


def plain() -> Any:
    """y = x + 1."""
    one = numpy_helper.from_array(np.ones(3, np.float32), "one")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "one"], ["y"])], "add", [x], [y], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {"maskrcnn": "Größe", "other": ""})
    return model
