"""The key."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pytest

from .asgi import Client

KEY = "a key: of mine"


def basic(password: str) -> str:
    return f"Basic {b64encode(f'user:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    "header", [{"x_api_key": KEY}, {"authorization": f"Bearer {KEY}"}, {"authorization": basic(KEY)}], ids=str
)
def test_with_the_key(client_of: Callable[..., Client], picture: bytes, header: dict[str, str]) -> None:
    client = client_of(api_key=KEY)
    assert client("POST", "/predict", picture, **header).status == 200
    assert client("GET", "/model", **header).status == client("GET", "/metrics", **header).status == 200


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"x_api_key": ""},
        {"x_api_key": KEY[:-1]},
        {"x_api_key": KEY + "é"},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"authorization": basic(KEY + "x")},
        {"authorization": "Basic " + b64encode(b"no colon").decode()},
        {"authorization": "Bearer"},
    ],
    ids=str,
)
def test_without_the_key(client_of: Callable[..., Client], picture: bytes, header: dict[str, str]) -> None:
    client = client_of(api_key=KEY)
    for method, path in (("POST", "/predict"), ("GET", "/model"), ("GET", "/metrics")):
        reply = client(method, path, picture, **header)
        assert reply.status == 401 and "www-authenticate" in reply.headers
    assert client.model.batches == [1] and client.service.total == 0
    for path in ("/", "/page.js", "/live", "/ready", "/openapi.json"):
        assert client("GET", path, **header).status == 200


def test_while_draining(client: Client, picture: bytes) -> None:
    """Requests are answered still, on connections that end; load balancers see that they should go elsewhere."""
    client.service.draining = True
    reply = client("POST", "/predict", picture)
    assert reply.status == 200 and reply.headers["connection"] == "close"
    assert client("GET", "/ready").status == 503 and client("GET", "/live").status == 200
