"""The Open Inference Protocol, which Triton, KServe and others speak: the same predictions under /v2.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from __future__ import annotations

import math
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskrcnn.data.channels import RGB, Channels
from maskrcnn.prediction import Prediction
from maskrcnn.serve.answers import Answer, facts, json_answer
from maskrcnn.serve.bodies import decode
from maskrcnn.serve.compute import Options
from maskrcnn.serve.json_bodies import load_object, member
from maskrcnn.serve.parameters import OPTIONS, options_of, require_known
from maskrcnn.serve.problems import Problem
from maskrcnn.sources import source_pixels
from maskrcnn.structures.masks import ByteArray
from maskrcnn.text import brief

INPUT = "image"

OUTPUTS: dict[str, tuple[str, list[int]]] = {
    "boxes": ("FP32", [-1, 4]),
    "scores": ("FP32", [-1]),
    "labels": ("INT64", [-1]),
    "names": ("BYTES", [-1]),
    "masks": ("BYTES", [-1]),
    "image_size": ("INT64", [2]),
}
"""The kind and shape of each: boxes x1, y1, x2, y2; masks COCO's run lengths as text; the size is height, width."""

_RESERVED = {
    *("binary_data_output", "content_type", "headers", "priority", "sequence_end", "sequence_id", "sequence_start"),
    "timeout",
}
_TRITON = "triton_"
"""Parameters that clients send by themselves: those of the protocol's extensions, of Triton's and of MLServer's."""

_LENGTH = 4
"""Bytes that say how long a binary element is."""


@dataclass(frozen=True)
class InferRequest:
    """A request as it was read.

    Attributes:
        picture: an image file, or its (H, W, C) uint8 pixels.
        options: of the prediction.
        outputs: the names of those asked for.
        id: to be given back; None without one.
    """

    picture: bytes | ByteArray
    options: Options
    outputs: tuple[str, ...]
    id: str | None

    def pixels(self, max_pixels: int, channels: Channels) -> ByteArray:
        """(H, W, C) uint8; a `Problem` as `bodies.decode`."""
        if isinstance(self.picture, bytes):
            return decode(self.picture, max_pixels, channels)
        return source_pixels(self.picture, channels)


def metadata(name: str, channels: Channels) -> dict[str, Any]:
    """What a model takes and gives."""
    return {
        "name": name,
        "versions": ["1"],
        "platform": "maskrcnn",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, -1, channels.count]}],
        "outputs": [{"name": key, "datatype": kind, "shape": shape} for key, (kind, shape) in OUTPUTS.items()],
    }


def read_request(body: bytes, header_length: str | None, max_pixels: int, channels: Channels = RGB) -> InferRequest:
    """The picture and the options of a request.

    Args:
        body: JSON, and behind it the tensors that are sent in binary.
        header_length: the bytes of the JSON, where there are any others.
        max_pixels: of a picture.
        channels: of a picture.

    Raises:
        Problem: 400, something is missing or does not fit together; 413, too many pixels; 422, an option.
    """
    end = len(body) if header_length is None else _length_of_json(header_length, len(body))
    content = load_object(body[:end])
    inputs = member(content, "inputs", list)
    if len(inputs) != 1 or not isinstance(inputs[0], dict) or inputs[0].get("name") != INPUT:
        raise Problem(400, f"inputs: expected one, of the name {INPUT}; send one picture a request")
    return InferRequest(
        _picture(inputs[0], body[end:], max_pixels, channels),
        _options(member(content, "parameters", dict, {})),
        tuple(_output_name(output) for output in member(content, "outputs", list, [])) or tuple(OUTPUTS),
        member(content, "id", str) if "id" in content else None,
    )


def answer(prediction: Prediction, request: InferRequest, name: str) -> Answer:
    """The response; without masks where the model has none. Its parameters say what may be missing."""
    values = _values(prediction)
    outputs = [
        {"name": key, "datatype": OUTPUTS[key][0], "shape": list(np.shape(values[key])), "data": _flat(values[key])}
        for key in request.outputs
        if key in values
    ]
    identity = {} if request.id is None else {"id": request.id}
    about = {"model_name": name, "model_version": "1", **identity, "parameters": facts(prediction)}
    return json_answer({**about, "outputs": outputs})


def _options(parameters: Mapping[str, Any]) -> Options:
    reserved = (name for name in parameters if name in _RESERVED or name.startswith(_TRITON))
    require_known(parameters.keys() - set(reserved), OPTIONS)
    return options_of(parameters)


def _values(prediction: Prediction) -> dict[str, Any]:
    values = {
        "boxes": prediction.boxes,
        "scores": prediction.scores,
        "labels": prediction.labels,
        "names": prediction.names,
        "image_size": np.array(prediction.image_size),
    }
    if prediction.has_masks:
        values["masks"] = [found["segmentation"]["counts"] for found in prediction.to_coco()]
    return values


def _flat(values: Any) -> list[Any]:
    return values if isinstance(values, list) else values.ravel().tolist()


def _length_of_json(header: str, available: int) -> int:
    if not header.isdecimal() or len(header) > 12 or int(header) > available:
        raise Problem(400, f"Inference-Header-Content-Length: expected at most {available}, got {brief(header)}")
    return int(header)


def _output_name(output: Any) -> str:
    name = output.get("name") if isinstance(output, dict) else None
    if not isinstance(name, str) or name not in OUTPUTS:
        raise Problem(400, f"outputs: expected objects with a name of {', '.join(OUTPUTS)}, got {brief(output)}")
    return name


def _picture(tensor: Mapping[str, Any], binary: bytes, max_pixels: int, channels: Channels) -> bytes | ByteArray:
    size = member(tensor, "parameters", dict, {}).get("binary_data_size")
    if size is not None and size != len(binary):
        raise Problem(400, f"binary_data_size: expected the {len(binary)} bytes behind the JSON, got {brief(size)}")
    kind, shape = member(tensor, "datatype", str), member(tensor, "shape", list)
    if kind == "BYTES":
        return binary[_LENGTH:] if size is not None else _base64(member(tensor, "data", list))
    if kind != "UINT8":
        raise Problem(400, f"datatype: expected UINT8 or BYTES, got {brief(kind)}")
    sides = _image_shape(shape, max_pixels, channels)
    values = np.frombuffer(binary, np.uint8) if size is not None else _bytes(member(tensor, "data", list))
    if values.size != math.prod(sides):
        raise Problem(400, f"data: expected {math.prod(sides)} values for the shape {brief(shape)}, got {values.size}")
    return values.reshape(sides)


def _image_shape(shape: list[Any], max_pixels: int, channels: Channels) -> tuple[int, int, int]:
    sides = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
    whole = all(isinstance(side, int) and 0 < side < 2**31 for side in sides)
    if not whole or len(sides) != 3 or sides[2] not in ((1, 3) if channels.rgb else (channels.count,)):
        raise Problem(400, f"shape: expected [height, width, {channels.count}], got {brief(shape)}")
    if sides[0] * sides[1] > max_pixels:
        raise Problem(413, f"the image has more than {max_pixels} pixels, the limit of this server")
    return sides[0], sides[1], sides[2]


def _bytes(data: list[Any]) -> ByteArray:
    """Values as a flat list, or in lists of rows and pixels."""
    try:
        values = np.array(data)
    except ValueError:  # lists of unlike lengths
        values = np.array([0.5])
    if values.dtype.kind not in "iu" or values.size == 0 or values.min() < 0 or values.max() > 255:
        raise Problem(400, "data: expected whole numbers from 0 to 255")
    return values.astype(np.uint8)


def _base64(data: list[Any]) -> bytes:
    try:
        (text,) = data
        return b64decode(text, validate=True)
    except (ValueError, TypeError, Base64Error):
        raise Problem(400, "data: expected one image file as base64 text") from None
