"""The process: it listens, says when it is ready, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from maskrcnn.errors import UserError
from maskrcnn.serve.app import make_app
from maskrcnn.serve.compute import ServedModel
from maskrcnn.serve.connections import TimedConnection
from maskrcnn.serve.service import Service
from maskrcnn.serve.settings import ServeSettings
from maskrcnn.text import one_line

OK, CRASHED, INTERRUPTED = 0, 3, 130

_BACKLOG = 1024
_LAST_REQUESTS = 0.3
"""Seconds between the last connection and the end of idle ones, so that a request under way still comes in."""


def run_server(load: Callable[[], ServedModel], settings: ServeSettings) -> int:
    """Serve until a signal comes.

    SIGTERM: `/ready` says no at once, requests are taken for `settings.drain` more seconds, all that were let in are
    answered, and the exit code is 0. Ctrl-C: the same without the wait, and 130. A second signal ends at once.

    Raises:
        UserError: the address cannot be had, or the model cannot be loaded.
    """
    listener = _listen(settings.host, settings.port)
    address = _address(settings.host, listener)
    print(f"loading the model; {address}", flush=True)
    if settings.api_key is None and not is_loopback(settings.host):
        print(f"warning: anybody who can reach {address} may use it; --api-key-env asks for a key", file=sys.stderr)
    server = asyncio.run(_serve(load, settings, listener, address))
    return server.end()


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _serve(
    load: Callable[[], ServedModel], settings: ServeSettings, listener: socket.socket, address: str
) -> _Server:
    server = _Server(Service(load, settings), address)
    await server.serve([listener])
    return server


class _Server(uvicorn.Server):
    """uvicorn's server with our signals and our end.

    Args:
        service: what it serves.
        address: to print.
    """

    def __init__(self, service: Service, address: str) -> None:
        self._service, self._address, self._signal = service, address, 0
        self._said_ready = False
        patience = service.settings.patience
        super().__init__(
            uvicorn.Config(
                make_app(service),
                http=type("Connection", (TimedConnection,), {"patience": patience}),
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # what clients do wrong must not fill the disk
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_keep_alive=max(1, round(patience)),
                timeout_graceful_shutdown=round(2 * settings_seconds(service.settings)),
            )
        )

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        compute = self._service.compute
        if compute.crash is not None or (compute.model.done() and compute.model.exception() is not None):
            self.should_exit = True
        elif compute.is_ready and not self._said_ready:
            self._said_ready = True
            print(f"ready: {one_line(compute.model.result().name)} at {self._address} (Ctrl-C ends it)", flush=True)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Called by uvicorn around everything; its own would raise the signal again, and end with another exit code."""
        loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._begin_to_end, number)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _begin_to_end(self, number: int) -> None:
        if self._signal:
            self.should_exit = self.force_exit = True
            return
        self._signal, self._service.draining = number, True
        wait = self._service.settings.drain if number == signal.SIGTERM else 0
        asyncio.get_running_loop().call_later(wait, setattr, self, "should_exit", True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn: no new connections, then no new requests, then the answers that are due."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(_LAST_REQUESTS)
        await super().shutdown(sockets)

    def end(self) -> int:
        """End the threads; the exit code.

        Raises:
            UserError: the model could not be loaded.
        """
        service, compute = self._service, self._service.compute
        ended = service.close()
        if compute.model.done() and (error := compute.model.exception()) is not None:
            raise error
        if compute.crash is not None:
            print(f"error: the compute thread has ended: {one_line(repr(compute.crash))}", file=sys.stderr)
        else:
            print(f"ended; {service.total} requests were taken, {service.admitted} are without an answer", flush=True)
        code = CRASHED if compute.crash is not None else INTERRUPTED if self._signal == signal.SIGINT else OK
        if not ended:  # the model is being loaded or computes without end; Python would wait for it, or crash
            os._exit(code)
        return code


def settings_seconds(settings: ServeSettings) -> float:
    """The longest that one request takes: its body, then its answer."""
    return settings.patience + settings.timeout


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(found[4][:2], family=found[0], backlog=_BACKLOG)
    except OSError as error:
        raise UserError(
            f"{host}:{port}: cannot listen there ({error.strerror or error}); choose another --host or --port"
        ) from None


def _address(host: str, listener: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
