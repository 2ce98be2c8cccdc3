"""Backbone, pyramid and the RPN's convolutions in 8 bits: a quarter of the size, and faster where a CPU has VNNI.

Only these: what decides (objectness, boxes, classes, masks) stays float32, without which scores and AP collapse, and
so does the stem, whose error every later layer inherits. Weights have a scale for each channel, maps one for the whole
map, from the smallest and the largest value on calibration images; a map is rounded after its activation, which leaves
no step to values that it cuts off.

Weights have 7 bits: a CPU without VNNI adds two products of a weight and a pixel in 16 bits, which 8 and 8 exceed, so
that a model would compute something else there. Depthwise ones, which are not added that way, have 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.export.recording import quietly, require_onnx
from maskrcnn.structures.masks import Float32Array

_DENSE = ("/backbone/", "/rpn/head/")
_STEM = "/stem/"
_ACTIVATIONS = ("Relu", "Clip")
_STAYS = ("objectness", "deltas")
"""The last layers, whose outputs are decisions."""


def quantise(content: bytes, batches: Iterable[Float32Array]) -> bytes:
    """The graph with its dense part in 8 bits.

    Args:
        content: from `recording.record`.
        batches: normalised pixels (N, C, H, W), to learn the ranges of the maps from.

    Raises:
        UserError: a library is missing, or the graph has no such part.
    """
    onnx = require_onnx()
    whole = onnx.load_from_string(content)
    convolutions = [node for node in whole.graph.node if node.op_type == "Conv" and node.name.startswith(_DENSE)]
    last = [node for node in convolutions if any(name in node.name for name in _STAYS)]
    if not last:
        raise UserError("int8: expected a model with a backbone and an RPN, got one without")
    maps = [node.input[0] for node in whole.graph.node if node.op_type == "RoiAlign"]
    outputs = list(dict.fromkeys([*maps, *(name for node in last for name in node.output)]))
    dense = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(whole)).extract_model(["pixels"], outputs)
    small = [node for node in convolutions if node not in last and _STEM not in node.name]
    quantised = _quantised(dense, batches, small)
    _replace(whole.graph, {name for node in dense.graph.node for name in node.output}, quantised.graph)
    return bytes(whole.SerializeToString(deterministic=True))


def _quantised(dense: Any, batches: Iterable[Float32Array], convolutions: list[Any]) -> Any:
    try:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    except ModuleNotFoundError as error:
        raise UserError(f"int8 needs the library {error.name}; install it: pip install {error.name}") from None
    onnx = require_onnx()
    activations = [node for node in dense.graph.node if node.op_type in _ACTIVATIONS and _STEM not in node.name]
    seven_bits = [{"quant_type": QuantType.QInt8, "axis": 0, "reduce_range": True}]
    weights = {node.input[1]: seven_bits for node in convolutions if _groups(node) == 1}
    with quietly(""), TemporaryDirectory() as folder:
        target = Path(folder) / "int8.onnx"
        quantize_static(
            dense,
            target,
            _Reader(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", *_ACTIVATIONS],
            nodes_to_quantize=[node.name for node in (*convolutions, *activations)],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"TensorQuantOverrides": weights},
        )
        return onnx.load(target)


def _groups(convolution: Any) -> int:
    return next((int(attribute.i) for attribute in convolution.attribute if attribute.name == "group"), 1)


def _replace(graph: Any, outputs: set[str], part: Any) -> None:
    """Let the nodes of `part` stand for those that give `outputs`; weights that nothing reads any more go."""
    rest = [node for node in graph.node if not outputs & set(node.output)]
    nodes = [*part.node, *rest]
    own = {tensor.name: tensor for tensor in [*graph.initializer, *part.initializer]}
    read = {name for node in nodes for name in _inputs(node)} - {name for node in nodes for name in node.output}
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensor for name, tensor in own.items() if name in read)


def _inputs(node: Any) -> Iterator[str]:
    """What a node reads, those of graphs within it as well."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _inputs(inner)


class _Reader:
    """Hands out the batches one by one, as the library asks for them."""

    def __init__(self, batches: Iterable[Float32Array]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, Float32Array] | None:
        """The next one; None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"pixels": batch}
