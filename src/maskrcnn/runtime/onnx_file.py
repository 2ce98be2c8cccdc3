"""An .onnx file, looked at before any engine is: whole, complete in itself, of standard operators alone.

ONNX files are protocol buffers: fields of a number and a value, messages in messages. Only what the checks need is
read; the numbers are those of onnx.proto.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from maskrcnn.errors import UserError
from maskrcnn.files import read_regular

LARGEST = 2**31 - 1
"""Bytes; a protocol buffer cannot be larger."""
_DEEPEST = 8
"""Graphs within graphs."""

_MODEL_GRAPH, _MODEL_METADATA, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 14, 20, 25
_TENSOR_LOCATION, _TENSOR_EXTERNAL = 14, 13
_GRAPH_NODE, _GRAPH_TENSORS = 1, 5
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11)

DOMAINS = (b"", b"ai.onnx")
"""Of ONNX's own operators."""


def read_onnx(path: Path) -> tuple[bytes, dict[str, str]]:
    """The bytes of a file and its metadata.

    Raises:
        UserError: it cannot be read, is no ONNX file or a damaged one, names other files, or has operators of its own.
    """
    content = read_regular(path, LARGEST, "an .onnx file")
    try:
        metadata = dict(_metadata(memoryview(content)))
        _check_model(path, memoryview(content))
    except (IndexError, KeyError, ValueError):
        raise UserError(f"{path}: not an .onnx file, or a damaged one; export the model again") from None
    return content, metadata


def graph_checksum(content: bytes) -> int:
    """CRC-32 of the graph of a model file, whatever its metadata."""
    value = 0
    for number, field in _fields(memoryview(content)):
        if number == _MODEL_GRAPH and isinstance(field, memoryview):
            value = zlib.crc32(field, value)
    return value


def _metadata(model: memoryview) -> Iterator[tuple[str, str]]:
    for number, value in _fields(model):
        if number == _MODEL_METADATA:
            entry = dict(_fields(_message(value)))
            yield str(_message(entry[1]), "utf-8"), str(_message(entry[2]), "utf-8")


def _check_model(path: Path, model: memoryview) -> None:
    num_graphs = 0
    for number, value in _fields(model):
        if number in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            raise UserError(f"{path}: expected a plain graph, as maskrcnn export writes it, got one with functions")
        if number == _MODEL_GRAPH:
            num_graphs += 1
            _check_graph(path, _message(value), _DEEPEST)
    if not num_graphs:
        raise ValueError("no graph")


def _check_graph(path: Path, graph: memoryview, depth: int) -> None:
    if not depth:
        raise ValueError("too deep")
    for number, value in _fields(graph):
        if number == _GRAPH_TENSORS:
            _check_tensor(path, _message(value))
        if number == _GRAPH_NODE:
            _check_node(path, _message(value), depth)


def _check_node(path: Path, node: memoryview, depth: int) -> None:
    for number, value in _fields(node):
        if number == _NODE_DOMAIN and bytes(_message(value)) not in DOMAINS:
            raise UserError(f"{path}: expected ONNX's own operators alone, got one of another library")
        if number == _NODE_ATTRIBUTE:
            for kind, part in _fields(_message(value)):
                if kind in _ATTRIBUTE_TENSORS:
                    _check_tensor(path, _message(part))
                if kind in _ATTRIBUTE_GRAPHS:
                    _check_graph(path, _message(part), depth - 1)


def _check_tensor(path: Path, tensor: memoryview) -> None:
    """Weights lie in the file itself: one that names other files could have any file read."""
    for number, value in _fields(tensor):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value):
            raise UserError(
                f"{path}: expected all weights in the file, as maskrcnn export writes it, got external data"
            )


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number in the place of a message")
    return value


_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message; an `IndexError` or a `ValueError` where it is none."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        length, at = _varint(message, at) if kind == _BYTES else (_WIDTHS.get(kind, -1), at)
        if length < 0 or length > end - at:
            raise ValueError("cut short")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 64, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("no number")
