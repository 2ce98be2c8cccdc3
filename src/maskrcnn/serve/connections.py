"""HTTP connections with time limits: uvicorn itself waits for ever for headers, and for clients that read nothing."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from maskrcnn.serve.settings import MAX_CONNECTIONS

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class TimedConnection(H11Protocol):
    """One connection: closed where the client is slow.

    A timer runs while a header is incomplete, while a body comes that nobody reads any more since the answer has been
    sent, and while an answer is not fetched. The time of a body that is read is the application's matter.
    """

    patience = 10.0
    """Seconds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        super().connection_made(cast("asyncio.Transport", transport))
        if len(self.connections) > MAX_CONNECTIONS:
            self.transport.write(_TOO_MANY)
            self.transport.close()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Called by uvicorn."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Called by asyncio when the client does not read what it is sent."""
        super().pause_writing()
        self._unread = self.loop.call_later(3 * self.patience, self.transport.abort)

    def resume_writing(self) -> None:
        """Called by asyncio when it does, and by uvicorn at the end."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        super().connection_lost(exc)
        self._stop_watching()

    def _watch(self) -> None:
        """Start the timer where bytes are due, stop it where they have come."""
        if self._waits_for_bytes():
            if self._deadline is None:
                self._deadline = self.loop.call_later(self.patience, self._too_slow)
        else:
            self._stop_watching()

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _waits_for_bytes(self) -> bool:
        """A first header, a further one that has begun, or the rest of a body that is thrown away."""
        if self.conn.their_state is h11.IDLE:
            return self.cycle is None or bool(self.conn.trailing_data[0])
        return self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete

    def _too_slow(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE:
            self.transport.write(_TOO_SLOW)
        self.transport.close()
