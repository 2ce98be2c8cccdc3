"""The process: a real model, signals, exit codes."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import maskrcnn
from maskrcnn.errors import UserError
from maskrcnn.serve.server import is_loopback, run_server
from maskrcnn.serve.settings import ServeSettings

from .fake import FakeModel, png
from .process import ROOT, Process

EXAMPLE = ROOT / "examples/nuclei_mini/images/fluorescence_515.png"


def test_the_bundled_model() -> None:
    """The command, from the start to SIGTERM: the answer is that of `predict`."""
    with Process.real("--drain", "0") as server:
        status, body = server.ask("POST", "/predict", EXAMPLE.read_bytes())
        objects = json.loads(body)["objects"]
        expected = [{k: v for k, v in found.items() if k != "image_id"} for found in predicted()]
        assert status == 200 and len(objects) > 5
        assert [found["segmentation"] for found in objects] == [found["segmentation"] for found in expected]
        assert [found["score"] for found in objects] == pytest.approx([found["score"] for found in expected], abs=1e-4)
        assert example_of_the_docs(server.port).splitlines() == [
            f"{found['category_name']} {found['score']} {found['bbox']}" for found in objects[:3]
        ]
        server.signal()
        assert server.wait() == 0 and "2 requests were taken, 0 are without an answer" in server.output[-1]


def example_of_the_docs(port: int) -> str:
    """What the Python block of docs/deploy.md prints, asking this server."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/deploy.md").read_text(), re.DOTALL)
    code = code.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def predicted() -> list[dict]:
    return maskrcnn.load("nuclei", "cpu").predict(EXAMPLE).to_coco()


def test_what_was_let_in_is_answered_after_sigterm() -> None:
    """Eight requests are waiting when the signal comes: all are answered; meanwhile the server says that it ends."""
    picture = png(np.full((8, 8, 3), 255, np.uint8))
    statuses: list[int] = []
    with Process.fake(0.15, "--drain", "0.6") as server:

        def client() -> None:
            statuses.append(server.ask("POST", "/predict", picture)[0])

        clients = [threading.Thread(target=client) for _ in range(8)]
        for one in clients:
            one.start()
        while b"in_progress 8.0" not in server.get("/metrics")[1]:
            time.sleep(0.01)
        server.signal()
        while (state := server.get("/ready")[0]) == 200:  # the signal is on its way
            time.sleep(0.01)
        late = server.ask("POST", "/predict", picture)[0]
        for one in clients:
            one.join(20)
        assert (state, late, statuses) == (503, 200, [200] * 8)
        assert server.wait() == 0 and "9 requests were taken, 0 are without an answer" in server.output[-1]


def test_ctrl_c() -> None:
    with Process.fake(0.0) as server:
        server.signal(signal.SIGINT)
        assert server.wait() == 130


def test_a_second_signal_does_not_wait() -> None:
    with Process.fake(0.0, "--drain", "600") as server:
        server.signal()
        while server.get("/ready")[0] == 200:
            time.sleep(0.01)
        server.signal()
        assert server.wait() == 0


def test_a_model_that_cannot_be_loaded() -> None:
    with pytest.raises(UserError, match="no such model"):
        run_server(lambda: failing(UserError("no such model")), ServeSettings(port=0))


def failing(error: BaseException) -> FakeModel:
    raise error


def test_an_address_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(UserError, match="--host or --port"):
        run_server(FakeModel, ServeSettings(port=other.getsockname()[1]))


def test_a_warning_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    def warning(**settings: str) -> str:
        with pytest.raises(UserError):
            run_server(lambda: failing(UserError("enough")), ServeSettings(port=0, **settings))
        return capsys.readouterr().err

    assert "--api-key-env" in warning(host="0.0.0.0")
    assert warning() == warning(host="0.0.0.0", api_key="key") == ""
    assert is_loopback("127.9.9.9") and is_loopback("::1") and is_loopback("localhost")
    assert not is_loopback("0.0.0.0") and not is_loopback("::") and not is_loopback("example.org")


def test_a_crash_of_the_compute_thread_ends_the_process() -> None:
    """Nothing is worse than a server that lives and cannot answer: after exit code 3 a supervisor starts it anew."""
    with Process.fake(-1) as server:
        assert server.ask("POST", "/predict", png(np.zeros((8, 8, 3), np.uint8)))[0] == 500
        assert server.wait() == 3 and "the compute thread has ended" in server.output[-1]
