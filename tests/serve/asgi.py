"""ASGI applications called without a network."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from maskrcnn.serve.app import make_app
from maskrcnn.serve.service import Service

from .fake import FakeModel


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def picture(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.body)))


Chunk = bytes | float | str
"""Of a body; a number is a pause in seconds, END the end of the body, LEAVE that of the connection."""

END, LEAVE = "end", "leave"


async def call(
    app: Any, method: str, target: str, chunks: Sequence[Chunk] = (), headers: Mapping[str, str] | None = None
) -> Reply:
    """One request to an ASGI application; the body comes in `chunks`, and the client then waits for its answer."""
    waiting, sent = [*chunks, *([] if END in chunks else [END])], []
    path, _, query = target.partition("?")
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": raw,
        "scheme": "http",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> dict[str, Any]:
        while waiting and isinstance(waiting[0], float):
            await asyncio.sleep(waiting.pop(0))
        if not waiting:
            await asyncio.Event().wait()
        chunk = waiting.pop(0)
        if chunk == LEAVE:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"" if chunk == END else chunk, "more_body": chunk != END}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    head = sent[0]
    reply_headers = {name.decode(): value.decode("latin-1") for name, value in head["headers"]}
    return Reply(head["status"], reply_headers, b"".join(m.get("body", b"") for m in sent[1:]))


@dataclass
class Client:
    """A service with a fake model, and requests to it."""

    service: Service
    model: FakeModel

    def __post_init__(self) -> None:
        self.app = make_app(self.service)

    async def request(self, method: str, target: str, *chunks: Chunk, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await call(self.app, method, target, chunks, named)

    def __call__(self, method: str, target: str, *chunks: Chunk, **headers: str) -> Reply:
        return asyncio.run(self.request(method, target, *chunks, **headers))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that other threads bring about."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)
