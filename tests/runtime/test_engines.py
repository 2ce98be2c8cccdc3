from __future__ import annotations

import subprocess
import sys

import pytest

from maskrcnn.errors import UserError
from maskrcnn.runtime import engines
from maskrcnn.runtime.engines import default_threads, open_engine
from runtime.graphs import plain


def test_engines_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"expected auto, onnxruntime or openvino for an \.onnx model, got 'cuda'"):
        open_engine("a.onnx", "cuda", b"", ())
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install onnxruntime"):
        open_engine("a.onnx", "auto", b"", ())
    with pytest.raises(UserError, match="openvino is not installed: pip install openvino"):
        open_engine("a.onnx", "openvino", b"", ())


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_what_an_engine_refuses_is_one_line(name: str) -> None:
    pytest.importorskip(name)
    with pytest.raises(UserError, match=rf"a\.onnx: {name} cannot use this graph: ") as caught:
        open_engine("a.onnx", name, b"\x00 no graph", ("boxes",))
    assert "\n" not in str(caught.value)


SIGNAL_AFTER_TWO = """
import signal, sys
from maskrcnn.runtime.engines import open_engine
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
content = sys.stdin.buffer.read()
first, second = (open_engine("a.onnx", sys.argv[1], content, ["y"]) for _ in range(2))
del first
del second
signal.raise_signal(signal.SIGTERM)
"""


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_signals_are_handled_after_engines_have_ended(name: str) -> None:
    """A stack for signal handlers that is freed ends the process with the next signal."""
    pytest.importorskip(name)
    command = [sys.executable, "-c", SIGNAL_AFTER_TWO, name]
    done = subprocess.run(command, input=plain().SerializeToString(), capture_output=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, b"handled\n"), done.stderr.decode()


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert default_threads() >= 1
