"""Requests to the application, without a network."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import decode_rle, encode_rle
from maskrcnn.masks.rle_coco import rle_from_coco
from maskrcnn.prediction import Prediction
from maskrcnn.serve.answers import FORMATS
from maskrcnn.serve.page import FILES
from maskrcnn.serve.problems import Problem
from maskrcnn.structures import Categories

from .asgi import END, LEAVE, Client
from .fake import FakeModel, bright_parts, multipart, png

FORM = "multipart/form-data; boundary=B"


def test_the_body_is_the_picture(client: Client, image: np.ndarray, picture: bytes) -> None:
    reply = client("POST", "/predict", picture[:10], picture[10:], content_type="image/png")
    assert reply.status == 200 and reply.headers["content-type"] == "application/json"
    assert (reply.json["height"], reply.json["width"]) == (6, 8)
    objects, expected = reply.json["objects"], bright_parts(image)
    assert [found["category_name"] for found in objects] == ["left", "right"]
    assert [found["category_id"] for found in objects] == [3, 7]
    assert [found["bbox"] for found in objects] == [[0, 0, 4, 6], [4, 0, 4, 6]]
    masks = [decode_rle(rle_from_coco(found["segmentation"])) for found in objects]
    assert np.array_equal(masks, expected.masks())


def test_the_picture_is_a_part(client: Client, picture: bytes) -> None:
    raw = client("POST", "/predict", picture)
    part = client("POST", "/predict", multipart(("file", picture)), content_type=FORM)
    assert part.status == 200 and part.body == raw.body


def test_outlines(client: Client, image: np.ndarray) -> None:
    """Three by three pixels without the middle one have a hole; the lone pixel at the right has none."""
    image[1:4, 1:4], image[2, 2] = 255, 0
    objects = client("POST", "/predict?format=polygons", png(image)).json["objects"]
    (outer,), (hole,) = objects[0]["segmentation"], objects[0]["holes"]
    ((expected_outer, (expected_hole,)),), _ = bright_parts(image).polygons()
    assert outer == expected_outer.ravel().tolist() and hole == expected_hole.ravel().tolist()
    assert len(outer) == 8 and {2, 3} <= set(hole)
    assert objects[1]["holes"] == [] and len(objects[1]["segmentation"][0]) == 8


@pytest.mark.parametrize(("target", "accept"), [("?format=overlay", "*/*"), ("", "image/png")])
def test_a_picture_of_the_result(client: Client, image: np.ndarray, picture: bytes, target: str, accept: str) -> None:
    reply = client("POST", f"/predict{target}", picture, accept=accept)
    assert reply.headers["content-type"] == "image/png"
    assert np.array_equal(reply.picture, bright_parts(image).overlay())


def test_numbers_of_objects(client: Client, image: np.ndarray, picture: bytes) -> None:
    labels = client("POST", "/predict?format=labels", picture).picture
    assert labels.dtype == np.uint16 and np.unique(labels).tolist() == [0, 1, 2]
    assert np.array_equal(labels, bright_parts(image).label_image())


def test_numbers_of_more_objects_than_sixteen_bits_hold() -> None:
    """They would begin again from 0, which is the background."""

    def objects(number: int) -> Prediction:
        one = encode_rle(np.ones((1, 1), np.uint8))
        return Prediction(
            boxes=np.tile(np.float32([0, 0, 1, 1]), (number, 1)),
            scores=np.ones(number, np.float32),
            labels=np.zeros(number, np.int64),
            image_size=(1, 1),
            categories=Categories((1,), ("thing",)),
            source=np.zeros((1, 1, 3), np.uint8),
            given_masks=PackedRLE.from_rles([one] * number, (1, 1)),
        )

    assert FORMATS["labels"](objects(65535)).media_type == "image/png"
    with pytest.raises(Problem, match="up to 65535 objects, found 65536; use format=coco") as caught:
        FORMATS["labels"](objects(65536))
    assert caught.value.status == 422


def test_the_picture_as_it_was_read(client: Client, image: np.ndarray) -> None:
    """Browsers read no TIFF."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "TIFF")
    reply = client("POST", "/picture", buffer.getvalue())
    assert reply.headers["content-type"] == "image/png" and np.array_equal(reply.picture, image)
    assert client.model.batches == [1]  # that of the start alone


def test_the_description_names_each_route(client: Client) -> None:
    described = client("GET", "/openapi.json").json["paths"]
    methods = {r.path: sorted(m.lower() for m in r.methods - {"HEAD"}) for r in client.app.routes}
    assert {path: sorted(what.keys() - {"parameters"}) for path, what in described.items()} == {
        path: methods[path] for path in methods if path not in FILES
    }
    formats = next(p for p in described["/predict"]["post"]["parameters"] if p["name"] == "format")
    assert formats["schema"]["enum"] == list(FORMATS)


def test_options(client: Client, picture: bytes) -> None:
    def count(query: str) -> int:
        return len(client("POST", f"/predict?{query}", picture).json["objects"])

    assert count("score_threshold=0") == 2 and count("score_threshold=0.7") == 1
    assert count("max_detections=1") == 1 and count("score_threshold=1") == 0


@pytest.mark.parametrize("form", FORMATS)
def test_an_answer_at_the_limit_says_so(client: Client, picture: bytes, form: str) -> None:
    for most, limited in ((1, True), (2, True), (3, False)):
        reply = client("POST", f"/predict?format={form}&max_detections={most}", picture)
        told = reply.json["limited"] if form in ("coco", "polygons") else reply.headers["maskrcnn-limited"] == "true"
        assert told is limited


@pytest.mark.parametrize("form", FORMATS)
def test_an_answer_says_how_small_the_network_saw_the_picture(client: Client, picture: bytes, form: str) -> None:
    for scale, told in ((None, None), (0.28317, 0.283)):
        client.model.scale = scale
        reply = client("POST", f"/predict?format={form}", picture)
        is_json = form in ("coco", "polygons")
        header = reply.headers.get("maskrcnn-shrunk")
        assert told == (reply.json["shrunk"] if is_json else header and float(header))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("score_threshold=2", "0 to 1"),
        ("score_threshold=nan", "number"),
        ("score_threshold=x", "number"),
        ("max_detections=0", "from 1 to 2147483647"),
        ("max_detections=2147483648", "from 1 to 2147483647"),
        ("max_detections=1.5", "whole number"),
        ("max_detections=1e400", "number"),
        ("format=pdf", "coco"),
        ("score_treshold=0.5", "score_threshold"),
        ("max_detections=1&max_detections=2", "twice"),
    ],
)
def test_options_that_make_no_sense(client: Client, picture: bytes, query: str, words: str) -> None:
    reply = client("POST", f"/predict?{query}", picture)
    assert reply.status == 422 and words in reply.json["detail"]
    assert reply.headers["content-type"] == "application/problem+json" and reply.json["status"] == 422
    assert client.service.total == 0  # not even let in


def test_the_model_and_the_state(client: Client) -> None:
    model = client("GET", "/model").json
    assert model["name"] == "fake" and [c["name"] for c in model["categories"]] == ["left", "right"]
    assert model["limits"]["max_pixels"] == 40_000_000 and model["score_threshold"] == 0.55
    assert client("GET", "/live").status == client("GET", "/ready").status == 200


def test_before_the_model_is_there(client_of: Callable[..., Client], picture: bytes) -> None:
    loaded = threading.Event()

    def load() -> FakeModel:
        assert loaded.wait(20)
        return FakeModel()

    client = client_of(load)
    assert client("GET", "/live").status == 200
    for reply in (client("GET", "/ready"), client("GET", "/model"), client("POST", "/predict", picture)):
        assert reply.status == 503 and reply.headers["retry-after"] == "1"
    loaded.set()
    client.service.compute.model.result(20)
    assert client("GET", "/ready").status == client("POST", "/predict", picture).status == 200


def test_after_the_compute_thread_has_crashed(client_of: Callable[..., Client], picture: bytes) -> None:
    """Requests that are waiting get an answer, and the state says that the process is of no more use."""
    client = client_of()
    client.model.error = SystemExit()
    assert client("POST", "/predict", picture).status == 500
    states = [client("GET", path).status for path in ("/live", "/ready")]
    assert [*states, client("POST", "/predict", picture).status] == [503, 503, 503]


def test_unknown_addresses_and_methods(client: Client) -> None:
    missing, wrong = client("GET", "/nothing"), client("GET", "/predict")
    assert missing.status == 404 and wrong.status == 405 and wrong.headers["allow"] == "POST"
    assert missing.json["title"] == "Not Found" and missing.json["type"] == "about:blank"


def test_the_files_of_the_page(client: Client) -> None:
    for path, file in FILES.items():
        reply = client("GET", path)
        assert reply.status == 200 and reply.body == file.content() and len(reply.body) > 100
        assert "default-src 'self'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert client("GET", "/page.py").status == client("GET", "/../page.py").status == 404


def test_figures(client: Client, picture: bytes) -> None:
    client("POST", "/predict", picture)
    client("POST", "/predict", b"not a picture")
    text = client("GET", "/metrics").body.decode()
    for line in (
        'maskrcnn_requests_total{status="200"} 1.0',
        'maskrcnn_requests_total{status="400"} 1.0',
        "maskrcnn_objects_total 2.0",
        "maskrcnn_requests_in_progress 0.0",
        "maskrcnn_compute_seconds_count 1.0",
        'maskrcnn_batch_size_bucket{le="1.0"} 1.0',
    ):
        assert line in text.splitlines()


def test_a_fault_of_ours_is_told_by_number(client: Client, picture: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    client.model.error = KeyError("/home/user/secret.safetensors")
    reply = client("POST", "/predict", picture)
    number = reply.json["detail"].split()[-1]
    assert reply.status == 500 and b"secret" not in reply.body and b"Traceback" not in reply.body
    log = capsys.readouterr().err
    assert f"error {number}:" in log and "KeyError" in log and "Traceback" in log
    client.model.error = None
    assert client("POST", "/predict", picture).status == 200


def test_no_memory_is_not_a_fault(client: Client, picture: bytes) -> None:
    client.model.error = MemoryError()
    reply = client("POST", "/predict", picture)
    assert reply.status == 503 and "memory" in reply.json["detail"]


def test_a_client_that_left_is_not_computed(client: Client, picture: bytes) -> None:
    async def scenario() -> list[int]:
        client.model.gate.clear()
        first = asyncio.create_task(client.request("POST", "/predict", picture))
        await client.until(lambda: client.model.begun == 2)
        gone = await client.request("POST", "/predict", picture, END, 0.05, LEAVE)
        assert client.service.admitted == 1
        client.model.gate.set()
        return [(await first).status, gone.status]

    assert asyncio.run(scenario()) == [200, 499]
    assert client.model.batches == [1, 1]  # the picture of the start, and the first


def test_a_client_that_leaves_in_the_middle_of_its_body(client: Client, picture: bytes) -> None:
    assert client("POST", "/predict", picture[:20], LEAVE).status == 499
    assert client.service.admitted == 0 and client.model.batches == [1]


def test_nothing_here_needs_pytorch() -> None:
    """A server of an exported model starts without it."""
    code = "import sys; sys.modules['torch'] = None; import maskrcnn.serve.server, maskrcnn.cli.main"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
