"""Real connections to a process of its own: slow and odd clients."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from .fake import png
from .process import Process


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    with Process.fake(0.0, "--patience", "1", "--max-pixels", "100000") as process:
        yield process


def answer_to(server: Process, *pieces: bytes | float, wait: float = 15) -> bytes:
    """Everything that comes until the server ends the connection; a number is a pause in seconds."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        for piece in pieces:
            if isinstance(piece, float):
                time.sleep(piece)
            else:
                connection.sendall(piece)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"POST /predict HTTP/1.1\r\nHost: x\r\n",),
        (b"GET /live HTTP/1.1\r\n", 0.4, b"a: b\r\n", 0.4, b"c: d\r\n", 0.4, b"e: f\r\n"),
        (b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n", 0.3, b"GET /live HT"),
    ],
    ids=["silent", "stalled", "drip", "the second header"],
)
def test_a_slow_header(server: Process, pieces: tuple[bytes | float, ...]) -> None:
    started = time.perf_counter()
    assert answer_to(server, *pieces).rpartition(b"HTTP/1.1 ")[2].startswith(b"408")
    assert time.perf_counter() - started < 10


def test_a_slow_body(server: Process) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    assert answer_to(server, head, b"abc").startswith(b"HTTP/1.1 408")


def test_the_rest_of_a_refused_body_is_waited_for_a_little(server: Process) -> None:
    """A client that still sends can read the answer; one that goes on for ever is cut off."""
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n"
    assert answer_to(server, head, b"x" * 200_000, 0.2, b"y" * 200_000).startswith(b"HTTP/1.1 413")


def test_what_is_no_http(server: Process) -> None:
    for junk in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /" + b"x" * 100_000,
        b"GET / HTTP/9\r\n\r\n",
    ):
        assert answer_to(server, junk)[:12] in (b"HTTP/1.1 400", b"")
    assert server.get("/live")[0] == 200


def test_a_client_that_does_not_read(server: Process) -> None:
    """It asks again and again; its connection is ended, and others are answered meanwhile."""
    import numpy as np

    picture = png(np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8))
    request = b"POST /predict?format=overlay HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises((BrokenPipeError, ConnectionResetError, TimeoutError)) as ended:
            for _ in range(1000):
                connection.sendall(request)
        assert ended.type is not TimeoutError
    assert server.get("/live")[0] == 200
