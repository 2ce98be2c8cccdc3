"""The Open Inference Protocol: requests in its three spellings, one answer."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest

from maskrcnn.data.channels import Channels

from .asgi import Client
from .fake import bright_parts, png

INFER = "/v2/models/fake/infer"


def body(binary: bytes = b"", **changes: Any) -> bytes:
    content = {"inputs": [{"name": "image", "shape": [6, 8, 3], "datatype": "UINT8"}]}
    content["inputs"][0].update(changes.pop("tensor", {}))
    return json.dumps({**content, **changes}).encode() + binary


def spellings(image: np.ndarray, picture: bytes) -> dict[str, tuple[bytes, int | None]]:
    """The same picture as values, as values in binary, as a file in base64 and in binary; and how long the JSON is."""
    raw, file = image.tobytes(), struct.pack("<I", len(picture)) + picture
    binary = {"datatype": "UINT8", "parameters": {"binary_data_size": len(raw)}}
    as_file = {"datatype": "BYTES", "shape": [1]}
    size = {"parameters": {"binary_data_size": len(file)}}
    return {
        "flat": (body(tensor={"data": image.ravel().tolist()}), None),
        "nested": (body(tensor={"data": [image.tolist()], "shape": [1, 6, 8, 3]}), None),
        "binary": (body(raw, tensor=binary), len(body(tensor=binary))),
        "base64": (body(tensor={**as_file, "data": [b64encode(picture).decode()]}), None),
        "binary file": (body(file, tensor={**as_file, **size}), len(body(tensor={**as_file, **size}))),
    }


@pytest.mark.parametrize("spelling", ["flat", "nested", "binary", "base64", "binary file"])
def test_infer(client: Client, image: np.ndarray, picture: bytes, spelling: str) -> None:
    content, length = spellings(image, picture)[spelling]
    headers = {} if length is None else {"inference_header_content_length": str(length)}
    reply = client("POST", INFER, content, **headers)
    assert reply.status == 200 and reply.json["model_name"] == "fake"
    outputs = {output["name"]: output for output in reply.json["outputs"]}
    found = bright_parts(image)
    assert outputs["boxes"]["data"] == found.boxes.ravel().tolist() and outputs["boxes"]["shape"] == [2, 4]
    assert outputs["names"]["data"] == ["left", "right"] and outputs["labels"]["data"] == [0, 1]
    assert outputs["scores"]["data"] == pytest.approx([0.9, 0.6]) and outputs["image_size"]["data"] == [6, 8]
    assert outputs["masks"]["data"] == [result["segmentation"]["counts"] for result in found.to_coco()]


def test_options_and_choice_of_outputs(client: Client, image: np.ndarray) -> None:
    content = body(
        tensor={"data": image.ravel().tolist()},
        parameters={"score_threshold": 0.7, "max_detections": 1},
        outputs=[{"name": "scores"}],
        id="mine",
    )
    reply = client("POST", INFER, content).json
    assert reply["id"] == "mine" and [(o["name"], o["shape"]) for o in reply["outputs"]] == [("scores", [1])]
    assert reply["parameters"] == {"limited": True, "shrunk": None}


def test_parameters_that_clients_send_by_themselves(client: Client, image: np.ndarray) -> None:
    """Of Triton's client and of KServe's; a misspelt option is named with the right one."""
    usual = {"binary_data_output": True, "sequence_id": 0, "priority": 0, "timeout": 5, "triton_x": 1, "headers": {}}
    tensor = {"data": image.ravel().tolist()}
    assert client("POST", INFER, body(tensor=tensor, parameters=usual)).status == 200
    reply = client("POST", INFER, body(tensor=tensor, parameters={"score_treshold": 0.99}))
    assert reply.status == 422 and "did you mean score_threshold?" in reply.json["detail"]


def test_metadata(client: Client, picture: bytes) -> None:
    assert client("GET", "/v2").json["name"] == "maskrcnn"
    assert client("GET", "/v2/health/live").status == client("GET", "/v2/health/ready").status == 200
    model = client("GET", "/v2/models/fake").json
    assert model["name"] == "fake" and [i["name"] for i in model["inputs"]] == ["image"]
    assert client("GET", "/v2/models/fake/ready").status == 200
    for method, path in (("GET", "/v2/models/x"), ("GET", "/v2/models/x/ready"), ("POST", "/v2/models/x/infer")):
        assert client(method, path, picture).status == 404


def test_the_key(client_of: Callable[..., Client]) -> None:
    client = client_of(api_key="key")
    assert client("POST", INFER, b"{}").status == client("GET", "/v2/models/fake").status == 401
    assert client("GET", "/v2/health/ready").status == 200


IMAGE = [0] * 144
BAD: dict[str, tuple[int, bytes]] = {
    "no JSON": (400, b"\xff"),
    "a list": (400, b"[]"),
    "deep": (400, b"[" * 10_000),
    "long number": (400, b'{"inputs": ' + b"1" * 10_000 + b"}"),
    "no inputs": (400, b"{}"),
    "two inputs": (400, b'{"inputs": [1, 2]}'),
    "another name": (400, body(tensor={"name": "x", "data": IMAGE})),
    "no data": (400, body()),
    "another type": (400, body(tensor={"datatype": "FP32", "data": IMAGE})),
    "too few values": (400, body(tensor={"data": IMAGE[1:]})),
    "fractions": (400, body(tensor={"data": [0.5] * 144})),
    "too bright": (400, body(tensor={"data": [256] * 144})),
    "too dark": (400, body(tensor={"data": [-1] * 144})),
    "huge numbers": (400, body(tensor={"data": [10**30] * 144})),
    "words": (400, body(tensor={"data": ["a"] * 144})),
    "ragged": (400, body(tensor={"data": [[1], [2, 3]]})),
    "negative side": (400, body(tensor={"shape": [-6, -8, 3], "data": IMAGE})),
    "true side": (400, body(tensor={"shape": [6, 8, True], "data": IMAGE})),
    "two sides": (400, body(tensor={"shape": [12, 12], "data": IMAGE})),
    "too large": (413, body(tensor={"shape": [10**5, 10**5, 3], "data": IMAGE})),
    "too many values": (413, b'{"inputs": [' + b"[]," * 1_000_000 + b"[]]}"),
    "no picture": (400, body(tensor={"datatype": "BYTES", "data": ["aGVsbG8="]})),
    "no base64": (400, body(tensor={"datatype": "BYTES", "data": ["ü"]})),
    "no text": (400, body(tensor={"datatype": "BYTES", "data": [[1]]})),
    "missing binary": (400, body(tensor={"parameters": {"binary_data_size": 144}})),
    "another output": (400, body(tensor={"data": IMAGE}, outputs=[{"name": "x"}])),
    "an option": (422, body(tensor={"data": IMAGE}, parameters={"score_threshold": "high"})),
    "a misspelt option": (422, body(tensor={"data": IMAGE}, parameters={"score_treshold": 0.99})),
    "an option of no one": (422, body(tensor={"data": IMAGE}, parameters={"timeout": 1, "x": 1})),
    "a number as id": (400, body(tensor={"data": IMAGE}, id=3)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests(client: Client, case: str) -> None:
    status, content = BAD[case]
    reply = client("POST", INFER, content)
    assert reply.status == status and reply.json["error"] == reply.json["detail"]
    assert client.model.batches == [1]


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "999999", "9" * 50])
def test_a_wrong_length_of_the_json(client: Client, length: str) -> None:
    assert client("POST", INFER, body(), inference_header_content_length=length).status == 400


def test_a_model_of_other_channels(client: Client, image: np.ndarray) -> None:
    """Arrays and tensors of its channels are pictures, RGB is none."""
    client.model.channels = Channels(5, rgb=False)  # type: ignore[attr-defined]
    five, file = np.dstack([image, image[..., :2]]), BytesIO()
    np.save(file, five)
    assert client("GET", "/v2/models/fake").json["inputs"][0]["shape"] == [-1, -1, 5]
    from_file = client("POST", "/predict", file.getvalue(), content_type="application/octet-stream")
    tensor = {"data": five.ravel().tolist(), "shape": [6, 8, 5]}
    assert from_file.status == client("POST", INFER, body(tensor=tensor)).status == 200
    assert len(from_file.json["objects"]) == 2
    refused = client("POST", INFER, body(tensor={"data": image.ravel().tolist()}))
    assert refused.status == 400 and "expected [height, width, 5]" in refused.json["detail"]
    refused = client("POST", "/predict", png(image), content_type="image/png")
    assert refused.status == 400 and "expected 5 channel(s) (input.channels), got 3" in refused.json["detail"]
    seen = client("POST", "/picture", file.getvalue(), content_type="application/octet-stream")
    assert seen.status == 200 and seen.picture.shape == (6, 8, 3)
