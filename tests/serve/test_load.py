"""Many requests: bodies made to harm, and signals under load. The model takes no time: the server is tested."""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from .fake import multipart, png
from .process import Process
from .test_bodies import claimed_png

pytestmark = pytest.mark.slow

PICTURE = png(np.full((64, 64, 3), 255, np.uint8))
JSON = "application/json"
INFER = "/v2/models/fake/infer"


def hostile_bodies(draw: random.Random, count: int) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Where to, what, with which headers."""
    form = {"Content-Type": "multipart/form-data; boundary=B"}
    noise = png(np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8))
    kinds = [
        lambda: ("/predict", claimed_png(draw.randint(7000, 2**31 - 1), draw.randint(7000, 2**31 - 1)), {}),
        lambda: ("/predict", noise[: draw.randint(1, len(noise) - 100)], {}),
        lambda: ("/predict", draw.randbytes(draw.randint(0, 100_000)), {}),
        lambda: ("/predict", multipart(*[(f"f{n}", b"x" * draw.randint(0, 500)) for n in range(2000)]), form),
        lambda: ("/predict", multipart(("file", noise))[: draw.randint(1, 50_000)], form),
        lambda: ("/predict", b"\r\n--" * 1_000_000, form),
        lambda: (
            "/predict",
            PICTURE,
            {"Content-Type": draw.choice(["text/html", "video/mp4", "image", "multipart/x"])},
        ),
        lambda: ("/predict?score_threshold=" + draw.choice(["-1", "nan", "1e999", "%00", "x" * 5000]), PICTURE, {}),
        lambda: ("/predict", bytes(20_000_001), {}),
        lambda: ("/predict", b"[" * draw.randint(1, 200_000), {"Content-Type": JSON}),
        lambda: ("/predict", b'{"tasks":[' + b"{}," * 2_000_000 + b"{}]}", {"Content-Type": JSON}),
        lambda: (INFER, b'{"inputs":' + b"9" * draw.randint(1, 100_000) + b"}", {}),
        lambda: (INFER, draw.randbytes(1000), {"Inference-Header-Content-Length": str(draw.randint(0, 2000))}),
        lambda: ("/v2/models/" + "x" * draw.randint(1, 5000) + "/infer", b"{}", {}),
        lambda: ("/" + "".join(draw.choices("./%2e%5c", k=200)), b"", {}),
    ]
    for _ in range(count):
        yield draw.choice(kinds)()


def slow_clients(server: Process, count: int) -> list[bytes]:
    """The beginnings of what clients get that never finish their header or their body."""
    starts = [
        b"POST /predict HTTP/1.1\r\nHost: x\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
    ]
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(count)]
    for number, connection in enumerate(connections):
        connection.sendall(starts[number % 2])
    answers = [connection.recv(100)[:12] for connection in connections]
    for connection in connections:
        connection.close()
    return answers


def test_five_hundred_hostile_bodies() -> None:
    """All are the client's fault, memory stays, and the next good request is answered."""
    draw = random.Random(0)
    with Process.fake(0.0, "--patience", "2", "--max-queue", "64") as server:
        for _ in range(20):
            assert server.ask("POST", "/predict", PICTURE)[0] == 200
        before, highest, statuses = server.rss, 0, Counter()
        for target, body, headers in hostile_bodies(draw, 460):
            try:
                statuses[server.ask("POST", target, body, **headers)[0]] += 1
            except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
                statuses["closed"] += 1
            highest = max(highest, server.rss)
        statuses.update(slow_clients(server, 40))
        print(f"{dict(statuses)}; memory {before / 1e6:.0f} MB, at most {(highest - before) / 1e6:+.0f} MB")
        assert all(status in (b"HTTP/1.1 408",) or 400 <= status < 500 for status in statuses)
        assert highest - before < 50e6
        assert server.ask("POST", "/predict", PICTURE)[0] == 200


@pytest.mark.parametrize("number", range(50))
def test_sigterm_under_load(number: int) -> None:
    """Whatever was let in is answered: as many pictures came back as the server says that it took."""
    statuses: Counter[int] = Counter()
    draw, lock = random.Random(number), threading.Lock()
    with Process.fake(0.01, "--drain", f"{draw.random() / 2:.2f}") as server:

        def client() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            while True:
                try:
                    connection.request("POST", "/predict", PICTURE)
                    status = connection.getresponse()
                    status.read()
                except (OSError, http.client.HTTPException):  # refused, or closed between two requests
                    return
                with lock:
                    statuses[status.status] += 1

        clients = [threading.Thread(target=client) for _ in range(8)]
        for one in clients:
            one.start()
        time.sleep(draw.random())
        server.signal()
        code = server.wait()
        for one in clients:
            one.join(30)
    assert code == 0 and set(statuses) == {200}
    assert f"ended; {statuses[200]} requests were taken, 0 are without an answer" in server.output[-1]
