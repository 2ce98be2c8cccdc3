"""What a server is bound by."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PARTS = 8
"""Of a multipart body; one of them is the picture."""

BYTES_PER_SECOND = 100_000
"""A body may take a second for so many bytes, beside the patience that every request gets."""

MAX_CONNECTIONS = 1000
"""Open at a time; more are closed at once, before they can use up the process's files."""


@dataclass(frozen=True)
class ServeSettings:
    """The limits and the address of a server.

    Attributes:
        host: the address to listen on.
        port: 0 for any that is free.
        max_queue: requests that may wait beside those that are computed.
        max_batch: pictures of a size that go through the network together; None: 1 on a CPU, 4 on a GPU.
        max_body: bytes of a request.
        max_pixels: of a picture, as its header states them.
        timeout: seconds from a picture's arrival to its answer.
        patience: seconds that a client may take for the header of a request, and again for its body, beside what the
            size of the body takes at `BYTES_PER_SECOND`.
        drain: seconds after SIGTERM in which new requests are still taken, so that load balancers notice.
        api_key: what clients must show; None: nothing.
        label_studio: the address of a Label Studio whose pictures may be fetched; None: none are.
        label_studio_token: what that Label Studio asks for.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_queue: int = 16
    max_batch: int | None = None
    max_body: int = 20_000_000
    max_pixels: int = 40_000_000
    timeout: float = 30.0
    patience: float = 10.0
    drain: float = 2.0
    api_key: str | None = None
    label_studio: str | None = None
    label_studio_token: str | None = None
