"""Bodies: limits of bytes, pixels, parts and time, and whatever else a client may send."""

from __future__ import annotations

import random
import struct
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from .asgi import Client
from .fake import multipart, png

FORM = "multipart/form-data; boundary=B"


@pytest.mark.parametrize("declared", [True, False])
def test_too_many_bytes(client_of: Callable[..., Client], declared: bool) -> None:
    """Declared, not one byte is read; else as many as the limit."""
    client = client_of(max_body=1000)
    chunks = (b"x" * 600, b"x" * 600, 30.0)
    reply = client("POST", "/predict", *chunks, **({"content_length": "1200"} if declared else {}))
    assert reply.status == 413 and "1000 bytes" in reply.json["detail"]


def claimed_png(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def test_too_many_pixels_by_the_header(client_of: Callable[..., Client]) -> None:
    client = client_of(max_pixels=10_000)
    assert client("POST", "/predict", png(np.zeros((100, 100, 3), np.uint8))).status == 200
    for bomb in (
        png(np.zeros((101, 100, 3), np.uint8)),
        claimed_png(40_000, 40_000),
        claimed_png(2**31 - 1, 2**31 - 1),
    ):
        reply = client("POST", "/predict", bomb)
        assert reply.status == 413 and "10000 pixels" in reply.json["detail"]


@pytest.mark.parametrize("chunks", [(b"ab", 30.0), (b"a", 0.15, b"b", 0.15, b"c", 0.15, b"d")], ids=["stalled", "drip"])
def test_a_slow_body(client_of: Callable[..., Client], chunks: tuple[bytes | float, ...]) -> None:
    """Its time is that of the whole body: drops do not extend it by more than their size is worth."""
    client, started = client_of(patience=0.3), time.perf_counter()
    reply = client("POST", "/predict", *chunks)
    assert reply.status == 408 and reply.headers["connection"] == "close"
    assert time.perf_counter() - started < 10 and client.service.admitted == 0


def test_a_large_body_may_take_its_time(client_of: Callable[..., Client], picture: bytes) -> None:
    """100 kB are worth a second."""
    padded = picture + b"\0" * 100_000  # behind the end of a PNG anything may stand
    assert client_of(patience=0.2)("POST", "/predict", padded[:50_000], 0.35, padded[50_000:]).status == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "got an empty file"),
        (b"hello", "expected a JPEG, PNG, WebP, TIFF or BMP image"),
        (b"\x89PNG\r\n\x1a\n", "broken or incomplete"),
        (b"\xff\xd8\xff\xe0", "broken or incomplete"),
        (b"<!DOCTYPE html><html></html>", "expected a JPEG"),
        (b"RIFF\0\0\0\0WEBPVP8X", "broken or incomplete"),
    ],
)
def test_no_picture(client: Client, body: bytes, words: str) -> None:
    reply = client("POST", "/predict", body)
    assert reply.status == 400 and words in reply.json["detail"]


def test_kinds_of_bodies(client: Client, picture: bytes) -> None:
    for kind in ("image/png", "image/jpeg", "application/octet-stream", "IMAGE/PNG; x=1", ""):
        assert client("POST", "/predict", picture, content_type=kind).status == 200
    for kind in ("text/plain", "video/mp4", "multipart/mixed; boundary=B"):
        assert client("POST", "/predict", picture, content_type=kind).status == 415
    assert client("POST", "/predict", picture, content_encoding="gzip").status == 415


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"", FORM),
        (400, b"--B\r\n", FORM),
        (400, multipart(("file", b"x"))[:-8], FORM),
        (400, multipart(("file", b"x")), "multipart/form-data"),
        (400, multipart(("file", b"x")), "multipart/form-data; boundary=other"),
        (400, multipart(*[(f"f{i}", b"") for i in range(2000)]), FORM),
        (400, b"--B\r\nno header--B--\r\n", FORM),
        (400, b"--B\r\n" + b"x" * 9000 + b"\r\n\r\nabc\r\n--B--\r\n", FORM),
        (422, multipart(("image", b"x")), FORM),
        (422, multipart(("file", b"x"), ("score_threshold", b"0.5")), FORM),
        (422, multipart(("file", b"x"), ("file", b"y")), FORM),
        (422, b"--B\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--B--\r\n", FORM),
        (400, multipart(("file", b"no picture")), FORM),
    ],
)
def test_multipart_bodies_put_together_badly(client: Client, status: int, body: bytes, kind: str) -> None:
    reply = client("POST", "/predict", body, content_type=kind)
    assert reply.status == status and reply.json["detail"]


def test_names_of_parts_as_browsers_and_curl_write_them(client: Client, picture: bytes) -> None:
    for line in (
        'Content-Disposition: form-data; name="file"; filename="a b;c.png"',
        "content-disposition: form-data; name=file",
        'Content-Type: image/png\r\nContent-Disposition: form-data; filename="x"; name="file"',
    ):
        body = b"preamble\r\n--B\r\n" + line.encode() + b"\r\n\r\n" + picture + b"\r\n--B--\r\nbehind"
        assert (
            client("POST", "/predict", body, content_type='multipart/form-data; charset=x; boundary="B"').status == 200
        )


def test_damaged_bodies_are_the_clients_fault(client_of: Callable[..., Client]) -> None:
    """Bytes changed, cut off and put in at random: an answer or a refusal, and never a fault of the server."""
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    draw, client, statuses = random.Random(0), client_of(max_pixels=100_000), set()
    wholes = [(png(noise), "image/png"), (multipart(("file", png(noise))), FORM)]
    for _ in range(150):
        body, kind = draw.choice(wholes)
        damaged = bytearray(body)
        for _ in range(draw.randint(1, 6)):
            place = draw.randrange(len(damaged))
            damaged[place : place + draw.randint(0, 3)] = draw.randbytes(draw.randint(0, 3))
        statuses.add(
            client("POST", "/predict", bytes(damaged[: draw.randint(1, 2 * len(damaged))]), content_type=kind).status
        )
    assert statuses <= {200, 400, 413, 422} and 400 in statuses
