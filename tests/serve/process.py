"""Servers in a process of their own."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A server that is ready.

    Args:
        command: what to run.

    Attributes:
        port: where it listens.
        output: its lines so far.
    """

    def __init__(self, *command: str) -> None:
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(120) and self._process.poll() is None, "".join(self.output)
        self.port = int(re.search(r"http://127.0.0.1:(\d+)", "".join(self.output))[1])  # type: ignore[index]

    @classmethod
    def fake(cls, seconds: float, *options: str) -> Self:
        """With a model that takes so long for a picture."""
        return cls(sys.executable, "-m", "tests.serve.fake", str(seconds), *options)

    @classmethod
    def real(cls, *options: str) -> Self:
        """With the bundled model."""
        return cls(sys.executable, "-m", "maskrcnn", "serve", "--port", "0", *options)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.output.append(line)
            if line.startswith("ready"):
                self._ready.set()
        self._ready.set()

    @property
    def rss(self) -> int:
        """Bytes of memory that it occupies."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmRSS:\s*(\d+)", status)[1])  # type: ignore[index]

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and the body."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code."""
        code = self._process.wait(60)
        self._reader.join(10)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self.wait()
