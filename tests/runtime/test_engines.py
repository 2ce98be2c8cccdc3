from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maskrcnn.errors import UserError
from maskrcnn.runtime import engines
from maskrcnn.runtime.engines import KEEP, default_threads, open_engine
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


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where OpenVINO's graphs are kept."""
    pytest.importorskip("openvino")
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "openvino"


def opened(content: bytes) -> tuple[bool, bytes]:
    """Whether OpenVINO has compiled this graph before, and the bits of what it computes."""
    engine = open_engine("a.onnx", "openvino", content, ["y"], threads=1)
    x = np.linspace(-1, 1, 3, dtype=np.float32)
    return engine._compiled.get_property("LOADED_FROM_CACHE"), engine.run({"x": x})["y"].tobytes()


def test_a_graph_is_compiled_once(cache: Path) -> None:
    """And again where what was kept is damaged, which changes no bit."""
    content = plain().SerializeToString()
    known, expected = opened(content)
    assert not known and opened(content) == (True, expected)
    (blob,) = cache.iterdir()
    whole = blob.read_bytes()
    blob.chmod(0o600)
    for damaged in (
        b"",
        whole[: len(whole) // 2],
        whole.replace(b"compiled_blob", b"compiled_blub"),
        whole[:-9] + bytes(9),
    ):
        blob.write_bytes(damaged)
        assert opened(content)[1] == expected
        blob.chmod(0o600)


def test_few_graphs_are_kept(cache: Path) -> None:
    cache.mkdir(parents=True)
    for number in range(12):
        (cache / f"{number}.blob").write_bytes(b"old")
        os.utime(cache / f"{number}.blob", (number, number))
    opened(plain().SerializeToString())
    left = {path.name for path in cache.iterdir()}
    assert len(left) == KEEP and left > {"11.blob", "10.blob", "9.blob"}


def test_a_cache_that_cannot_be_written_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "file").touch()
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path / "file"))
    assert not opened(plain().SerializeToString())[0]


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert default_threads() >= 1
