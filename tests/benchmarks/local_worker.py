"""A scenario that takes no time, and workers that need no process."""

from __future__ import annotations

import io
import json
from typing import Any

from benchmarks.compare.engine import Engine
from benchmarks.compare.protocol import WorkerError, serve
from benchmarks.compare.scenarios import Scenario

TINY = Scenario(
    "tiny",
    backbone="resnet18",
    image_size=(64, 96),
    short_side=64,
    long_side=96,
    proposals=30,
    detections=5,
    classes=4,
)


class LocalWorker:
    """A `Worker` in this process; every request and answer still passes through the lines of the protocol."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name, self.engine = name, engine

    def __enter__(self) -> LocalWorker:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, name: str, **arguments: Any) -> Any:
        answers = io.StringIO()
        serve(self.engine, io.StringIO(json.dumps({"call": name, "arguments": arguments}) + "\n"), answers)
        answer = json.loads(answers.getvalue())
        if "error" in answer:
            raise WorkerError(f"{self.name}: {name}: {answer['error']}")
        return answer["result"]
