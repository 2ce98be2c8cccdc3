"""Calls to another process: one JSON line there, one JSON line back."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[2]


class WorkerError(Exception):
    """What went wrong in a worker, in one line."""


def serve(engine: object, requests: TextIO, answers: TextIO) -> None:
    """Call the methods of `engine` as the lines ask for, until they end."""
    for line in requests:
        request = json.loads(line)
        try:
            answer = {"result": getattr(engine, request["call"])(**request["arguments"])}
        except Exception as error:  # whatever it is, the other side must hear of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """A process that serves an engine.

    Args:
        name: for errors.
        command: starts the process, which reads requests from its standard input.
        environment: variables besides those of this process.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        paths = [str(ROOT / "src"), str(ROOT)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, name: str, **arguments: Any) -> Any:
        """What the engine's method returns.

        Raises:
            WorkerError: it raised something, or the process is gone.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps({"call": name, "arguments": arguments}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            raise WorkerError(f"{self.name}: the process ended with exit code {code} at {name!r}; see its lines above")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.name}: {name}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone already
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
