"""A server on this machine that does everything wrong a server can do."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves as the server's `behave` says, and notes what was asked for."""

    server: Server

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range", ""))
        self.server.behave(self)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @property
    def start(self) -> int:
        return int(self.headers.get("Range", "bytes=0-")[6:-1])

    def send(self, body: bytes, length: int | None = None, start: int = 0, status: int | None = None) -> None:
        """Send `body`, saying it has `length` bytes (None: its own) from `start` on."""
        self.send_response(status or (206 if start else 200))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def refuse_range(self) -> None:
        self.send_response(416)
        self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    """On a free port of this machine."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behave: Callable[[Handler], None] = well
        self.ranges: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of our business."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/models/model.pth"


def well(handler: Handler) -> None:
    if handler.start >= len(CONTENT):
        handler.refuse_range()
    else:
        handler.send(CONTENT[handler.start :], start=handler.start)


@contextmanager
def running() -> Iterator[Server]:
    """A server at work."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
