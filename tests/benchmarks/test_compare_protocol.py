"""Lines over a pipe: results, errors, and an end that nobody asked for."""

from __future__ import annotations

import sys
from argparse import Namespace

import pytest
from benchmarks.compare.protocol import ROOT, Worker, WorkerError
from benchmarks.compare.worker import make_engine

ECHO = """
import os, sys
from benchmarks.compare.protocol import serve
class Engine:
    def add(self, a, b): return {"sum": a + b, "folder": os.getcwd(), "word": os.environ["WORD"]}
    def fail(self): raise ValueError("no such thing: ä")
    def leave(self): os._exit(7)
serve(Engine(), sys.stdin, sys.stdout)
"""


@pytest.fixture
def worker() -> Worker:
    return Worker("echo", [sys.executable, "-c", ECHO], {"WORD": "tuned"})


def test_results_errors_and_results_again(worker: Worker) -> None:
    with worker:
        assert worker.call("add", a=1, b=2) == {"sum": 3, "folder": str(ROOT), "word": "tuned"}
        with pytest.raises(WorkerError, match=r"^echo: fail: ValueError: no such thing: ä$"):
            worker.call("fail")
        with pytest.raises(WorkerError, match="AttributeError"):
            worker.call("absent")
        assert worker.call("add", a="x", b="y")["sum"] == "xy"


def test_a_process_that_ends(worker: Worker) -> None:
    with worker:
        with pytest.raises(WorkerError, match="echo: the process ended with exit code 7 at 'leave'"):
            worker.call("leave")
        with pytest.raises(WorkerError, match="ended with exit code 7 at 'add'"):
            worker.call("add", a=1, b=2)


def test_our_worker_as_a_process() -> None:
    command = [sys.executable, "-m", "benchmarks.compare.worker", "ours", "--threads", "1"]
    with Worker("ours", command, {}) as worker:
        assert set(worker.call("versions")) == {"python", "torch", "maskrcnn"}
        memory = worker.call("memory")
        assert memory["import"] is None or 0 < memory["import"] < memory["peak"], "torch first, then the package"
        assert memory["loaded"] is None
        with pytest.raises(WorkerError, match="ours: prepare: "):
            worker.call("prepare", scenario={}, weights="", inputs="")


def test_an_environment_without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.delitem(sys.modules, "benchmarks.compare.theirs", raising=False)
    options = Namespace(engine="torchvision", device="cpu", channels_last=False)
    with pytest.raises(SystemExit, match=r"^error: torchvision in .*torchvision.*; see benchmarks/compare") as left:
        make_engine(options, None)
    assert "\n" not in str(left.value)
