"""A network recorded as an ONNX graph whose batch, height and width are open."""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from maskrcnn.acceleration.folding import fold_batch_norms
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.export.layers import rewrite_layers
from maskrcnn.export.network import WholeNetwork
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.runtime.contract import INPUTS, KEY, OUTPUTS, Contract
from maskrcnn.runtime.onnx_file import graph_checksum

OPSET = 18
"""Of ONNX's operators, from 2022: every engine that is alive knows it."""

EXAMPLE = (2, 64, 96)
"""Batch, height and width of what is sent through to record; no two alike, so that none is taken for another."""


def plain_copy(network: MaskRCNN) -> MaskRCNN:
    """A copy on the CPU in float32 and eval mode, with batch norms folded into the convolutions."""
    return fold_batch_norms(copy.deepcopy(network).float().cpu().eval())


def require_onnx() -> Any:
    """The library that writes the files.

    Raises:
        UserError: it is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise UserError("export needs the library onnx; install it: pip install onnx") from None
    return onnx


@torch.no_grad()
def record(network: MaskRCNN, config: Config) -> bytes:
    """The .onnx file of a network, still without the metadata.

    Args:
        network: from `plain_copy`; its layers are rewritten.
        config: its settings.
    """
    inputs = example_inputs(config.input.channels)
    whole = WholeNetwork(rewrite_layers(network)).eval()
    outputs = list(whole(*inputs))
    dynamic: dict[str, dict[int, str]] = {
        "pixels": {0: "batch", 2: "height", 3: "width"},
        "sizes": {0: "batch"},
        **{name: {0: "batch", 2: "rows", 3: "columns"} if _is_dense(name) else {0: "objects"} for name in outputs},
    }
    with quietly("torch.onnx"), TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        torch.onnx.export(
            whole,
            inputs,
            file,
            dynamo=False,  # see docs/decisions/017-export.md
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=outputs,
            dynamic_axes=dynamic,
        )
        return file.read_bytes()


def with_contract(content: bytes, contract: Contract) -> bytes:
    """The file with what it says of itself."""
    onnx = require_onnx()
    model = onnx.load_from_string(content)
    model.producer_name, model.producer_version = "maskrcnn", contract.package
    onnx.helper.set_model_props(model, {KEY: json.dumps(contract.to_json(), sort_keys=True)})
    return bytes(model.SerializeToString(deterministic=True))


def names_of(content: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of a graph's inputs and outputs; inputs that nothing depends on are not among them."""
    graph = require_onnx().load_from_string(content).graph
    return tuple(value.name for value in graph.input), tuple(value.name for value in graph.output)


def checksum(content: bytes) -> int:
    """Of the graph as it will be written."""
    return graph_checksum(require_onnx().load_from_string(content).SerializeToString(deterministic=True))


def example_inputs(channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Something to send through the network while it is recorded."""
    batch, height, width = EXAMPLE
    pixels = torch.rand((batch, channels, height, width), generator=torch.Generator().manual_seed(0))
    sizes = torch.tensor([[height, width], [height - 8.0, width - 5.0]])
    return pixels, sizes, torch.tensor([0.0]), torch.tensor([2])


def _is_dense(output: str) -> bool:
    return OUTPUTS[output].startswith("float32 (batch")


@contextmanager
def quietly(name: str) -> Iterator[None]:
    """Without the warnings of a logger (of all, if it is ""), and of Python.

    Recording warns of every comparison of sizes; whether sizes are open in fact, the verification shows.
    """
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
