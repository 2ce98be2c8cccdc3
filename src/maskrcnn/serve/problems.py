"""Errors as clients see them: `application/problem+json` (RFC 9457), a sentence without path or traceback."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.responses import Response


class Problem(Exception):
    """What is wrong with a request, or why it cannot be answered now.

    Args:
        status: of HTTP.
        detail: one sentence: what was expected, what came, what to do.
        headers: of the answer.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}

    def response(self) -> Response:
        """The answer. The member `error` is the one that the Open Inference Protocol asks for."""
        title = HTTPStatus(self.status).phrase
        content = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}
        return json_response({**content, "error": self.detail}, self.status, "application/problem+json", self.headers)


class ClientGone(Exception):
    """The client has closed the connection: nobody waits for an answer."""


def json_response(
    content: Any, status: int = 200, media_type: str = "application/json", headers: dict[str, str] | None = None
) -> Response:
    """Strict JSON: a NaN is an error, never a word that browsers cannot read."""
    return Response(json.dumps(content, allow_nan=False), status, headers, media_type)
