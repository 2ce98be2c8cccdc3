"""Label Studio's messages, as its documentation and its client (`api_connector.py`) write them."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest

from maskrcnn.masks.brush import decode_brush

from .asgi import Client, Reply
from .fake import bright_parts, png

CONFIG = """
<View>
  <Image name="img" value="$photo" zoom="true"/>
  <{kind} name="tag" toName="img">
    <Label value="Left" background="green"/>
    <Label value="Other" predicted_values="right, unknown"/>
  </{kind}>
</View>
"""


def message(*pictures: str, kind: str = "BrushLabels", **changes: Any) -> bytes:
    """What Label Studio posts to /predict."""
    tasks = [{"id": number, "data": {"photo": picture}} for number, picture in enumerate(pictures, start=10)]
    params = {"login": None, "password": None, "context": None}
    whole = {"tasks": tasks, "model_version": "x", "project": "1.1700000000", "params": params}
    return json.dumps({**whole, "label_config": CONFIG.format(kind=kind), **changes}).encode()


def inline(picture: bytes) -> str:
    return f"data:image/png;base64,{b64encode(picture).decode()}"


def ask(client: Client, content: bytes, target: str = "/predict") -> Reply:
    return client("POST", target, content, content_type="application/json")


def test_health_and_setup(client: Client) -> None:
    assert client("GET", "/health").json["status"] == "UP"
    setup = {"project": "1.17", "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": "abc"}
    reply = ask(client, json.dumps(setup).encode(), "/setup")
    assert reply.status == 200 and reply.json == {"model_version": "fake"}


def test_brushes_are_exact(client: Client, image: np.ndarray, picture: bytes) -> None:
    reply = ask(client, message(inline(picture), inline(picture))).json
    assert reply["model_version"] == "fake" and len(reply["results"]) == 2
    result = reply["results"][0]
    assert result["score"] == pytest.approx(0.75) and result["model_version"] == "fake"
    for region, mask, label in zip(result["result"], bright_parts(image).masks(), ("Left", "Other"), strict=True):
        assert (region["from_name"], region["to_name"], region["type"]) == ("tag", "img", "brushlabels")
        assert (region["original_width"], region["original_height"], region["image_rotation"]) == (8, 6, 0)
        assert region["value"]["brushlabels"] == [label] and region["value"]["format"] == "rle"
        values = decode_brush(region["value"]["rle"], 6 * 8 * 4).reshape(6, 8, 4)
        assert np.array_equal(values[..., 3] == 255, mask)
    assert len({region["id"] for region in result["result"]}) == 2


def test_polygons_and_boxes_in_percent(client: Client, image: np.ndarray) -> None:
    image[:] = 0
    image[0:3, 2:4] = 255
    (polygon,) = (
        region for region in ask(client, message(inline(png(image)), kind="PolygonLabels")).json["results"][0]["result"]
    )
    corners = {tuple(point) for point in polygon["value"]["points"]}
    assert corners == {(25, 0), (50, 0), (50, 50), (25, 50)} and polygon["value"]["polygonlabels"] == ["Left"]
    boxes = ask(client, message(inline(png(image)), kind="RectangleLabels")).json["results"][0]["result"]
    expected = {"x": 0, "y": 0, "width": 50, "height": 100, "rotation": 0, "rectanglelabels": ["Left"]}
    assert boxes[0]["value"] == expected and boxes[1]["value"]["x"] == 50


def test_a_threshold_of_the_address(client: Client, picture: bytes) -> None:
    reply = ask(client, message(inline(picture)), "/predict?score_threshold=0.7").json
    assert [region["score"] for region in reply["results"][0]["result"]] == pytest.approx([0.9])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (
            '<Label value="Cell nucleus"/><Label value="Dirt" predicted_values="mud"/>',
            "none of the labels Cell nucleus, Dirt is a class of the model: left, right; rename them or give "
            "predicted_values",
        ),
        ("", "the interface has no Label; give it one for a class of the model: left, right"),
    ],
)
def test_an_interface_without_a_class_of_the_model(client: Client, picture: bytes, labels: str, words: str) -> None:
    """Without an error, the empty result would say that nothing was found."""
    config = f'<View><Image name="i" value="$photo"/><BrushLabels name="t" toName="i">{labels}</BrushLabels></View>'
    setup = json.dumps({"project": "1.17", "schema": config}).encode()
    for reply in (ask(client, message(inline(picture), label_config=config)), ask(client, setup, "/setup")):
        assert reply.status == 422
        assert reply.json["detail"] == reply.json["error"] == words
    assert client.model.batches == [1], "nothing was computed but the picture of the start"


@pytest.mark.parametrize("schema", ["", "<View></View>", '<View><Text name="t" value="$t"/></View>', None])
def test_a_project_without_an_interface_for_pictures_may_be_set_up(client: Client, schema: str | None) -> None:
    given = {} if schema is None else {"schema": schema}
    assert ask(client, json.dumps({"project": "1.17", **given}).encode(), "/setup").status == 200


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, b"{"),
        (400, b"{}"),
        (400, message("data:image/png;base64,?")),
        (400, message("data:nothing")),
        (400, message("data:,hello")),
        (400, message(label_config="<View>")),
        (400, message(label_config="<View/>")),
        (400, message(label_config="<!DOCTYPE x [<!ENTITY a 'b'>]><View>&a;</View>")),
        (400, message(label_config="<a>" * 500)),
        (400, message(label_config=7)),
        (400, message(tasks=[1])),
        (400, message(tasks=[{"data": {}}])),
        (413, message(*["data:,"] * 101)),
        (422, message("/data/upload/1/a.png")),
        (422, message("http://169.254.169.254/latest/meta-data")),
        (422, message("file:///etc/passwd")),
    ],
)
def test_messages_that_make_no_sense(client: Client, status: int, content: bytes) -> None:
    reply = ask(client, content)
    assert reply.status == status and reply.json["detail"]


class LabelStudio(BaseHTTPRequestHandler):
    """A Label Studio with one picture, a redirect, and one picture without end."""

    picture = b""

    def do_GET(self) -> None:
        if self.headers["Authorization"] != "Token abc":
            return self.send_error(401)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/data/a.png")
            self.end_headers()
        elif self.path in ("/data/a.png", "/long"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.picture if self.path != "/long" else bytes(50_000))
        else:
            self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def label_studio(picture: bytes) -> Iterator[str]:
    LabelStudio.picture = picture
    server = HTTPServer(("127.0.0.1", 0), LabelStudio)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_pictures_of_the_one_label_studio(client_of: Callable[..., Client], label_studio: str) -> None:
    """With its token; no other address, however it is spelt, no redirect, and no more bytes than allowed."""
    client = client_of(label_studio=label_studio, label_studio_token="abc", max_body=20_000)
    for address in ("/data/a.png", f"{label_studio}/data/a.png", "data/a.png"):
        assert len(ask(client, message(address)).json["results"][0]["result"]) == 2
    port = label_studio.rpartition(":")[2]
    for status, address in (
        (502, "/missing.png"),
        (502, "/away"),
        (413, "/long"),
        (422, f"http://localhost:{port}/data/a.png"),
        (422, f"//localhost:{port}/data/a.png"),
        (422, f"https://127.0.0.1:{port}/data/a.png"),
        (422, "http://127.0.0.1:1/data/a.png"),
        (422, "file:///etc/hostname"),
        (422, "http://127.0.0.1:port/"),
        (422, f"http://127.0.0.1:{port}@example.org/data/a.png"),
    ):
        assert ask(client, message(address)).status == status, address
