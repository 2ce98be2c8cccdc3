"""Around every request: the key, the headers that protect browsers, the figures, and an answer whatever goes wrong."""

from __future__ import annotations

import asyncio
import hmac
import sys
import time
import traceback
import uuid
from base64 import b64decode
from binascii import Error as Base64Error

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from maskrcnn.errors import UserError
from maskrcnn.failures import failure_of_machine
from maskrcnn.serve.problems import ClientGone, Problem
from maskrcnn.serve.service import Service

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

NEED_KEY = ("/predict", "/picture", "/model", "/metrics", "/setup", "/v2/models")
"""Paths that begin so ask for the key; the page itself, the state of the server and the description do not."""

CLIENT_GONE = 499
"""Counted under this number, as nginx does; nobody receives it."""


class Guard:
    """ASGI middleware around the routes."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status = time.perf_counter(), 0

        async def protected_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(MutableHeaders(scope=message))
            await send(message)

        try:
            await self._answer(scope, receive, protected_send)
        except BaseException as error:
            if status:  # the answer has begun: all that is left is to end the connection
                raise
            await _response_to(error)(scope, receive, protected_send)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        finally:
            self._service.metrics.answered(status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._service.settings.api_key
        if key is not None and scope["path"].startswith(NEED_KEY) and not shows_key(Headers(scope=scope), key):
            headers = {"WWW-Authenticate": 'Bearer realm="maskrcnn"'}
            raise Problem(401, "expected the key of this server as Authorization: Bearer or X-API-Key", headers)
        await self._app(scope, receive, send)

    def _add_headers(self, headers: MutableHeaders) -> None:
        headers.update(SECURITY_HEADERS)
        if "cache-control" not in headers:
            headers["Cache-Control"] = "no-store"
        if self._service.draining:  # clients look for another server with their next request
            headers["Connection"] = "close"


def shows_key(headers: Headers, key: str) -> bool:
    """Whether a request bears the key: `X-API-Key`, `Authorization: Bearer`, or as the password of `Basic`.

    The comparison takes the same time wherever they differ.
    """
    kind, _, value = headers.get("authorization", "").partition(" ")
    shown = [headers.get("x-api-key", ""), value.strip() if kind.lower() == "bearer" else ""]
    if kind.lower() == "basic":
        try:
            shown.append(b64decode(value, validate=True).partition(b":")[2].decode("latin-1"))
        except (Base64Error, ValueError):
            return False
    return sum(hmac.compare_digest(one.encode("latin-1"), key.encode()) for one in shown) > 0


def _response_to(error: BaseException) -> Response:
    """What went wrong, in one sentence; the traceback of a fault of ours goes to the log alone."""
    if isinstance(error, ClientGone):
        return Response(status_code=CLIENT_GONE)
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, UserError):
        return Problem(422, str(error)).response()
    if isinstance(error, asyncio.CancelledError):
        return Problem(503, "the server is ending; try again", {"Retry-After": "1"}).response()
    if isinstance(error, Exception) and (reason := failure_of_machine(error)) is not None:
        return Problem(503, reason, {"Retry-After": "1"}).response()
    number = uuid.uuid4().hex[:12]
    print(f"error {number}:", file=sys.stderr)
    traceback.print_exception(error, file=sys.stderr)
    return Problem(500, f"an error of the server; its log has the details under {number}").response()
