"""`maskrcnn serve`: a model behind HTTP, with a page to try it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import (
    CommandParser,
    add_device_option,
    add_model_option,
    add_precision_option,
    number,
)
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.serve.compute import ServedModel
    from maskrcnn.serve.settings import ServeSettings

LIBRARIES = {"starlette": "starlette", "uvicorn": "uvicorn", "h11": "h11", "prometheus_client": "prometheus-client"}
"""What the server needs beside the package: the module, and how pip calls it."""


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal comes; 0 after SIGTERM."""
    values = _parser().parse(arguments)
    settings = _settings(values)
    require_libraries()
    from maskrcnn.serve.server import run_server

    return run_server(partial(load_model, values), settings)


def load_model(values: Namespace) -> ServedModel:
    """The model that the command line names; called in the thread that will own it."""
    from maskrcnn.loading import load

    return load(values.model, values.device, values.precision)


def require_libraries() -> None:
    """A `UserError` that names all libraries that are missing."""
    missing = [name for module, name in LIBRARIES.items() if find_spec(module) is None]
    if missing:
        raise UserError(f"serve needs {', '.join(missing)}; install with: pip install {' '.join(missing)}")


def _settings(values: Namespace) -> ServeSettings:
    from maskrcnn.serve.settings import ServeSettings

    return ServeSettings(
        host=values.host,
        port=values.port,
        max_queue=values.max_queue,
        max_batch=values.max_batch,
        max_body=values.max_body,
        max_pixels=values.max_pixels,
        timeout=values.timeout,
        patience=values.patience,
        drain=values.drain,
        api_key=_secret("--api-key-env", values.api_key_env),
        label_studio=_web_address(values.label_studio),
        label_studio_token=_secret("--label-studio-token-env", values.label_studio_token_env),
    )


def _web_address(text: str | None) -> str | None:
    if text is not None and not text.startswith(("http://", "https://")):
        raise UserError(f"--label-studio {text}: expected an address such as http://localhost:8080")
    return text


def _secret(option: str, name: str | None) -> str | None:
    """A key from the environment: on the command line, everybody on the machine could read it."""
    if name is None:
        return None
    value = os.environ.get(name, "")
    if not value or not value.isascii() or not value.isprintable():
        raise UserError(f"{option} {name}: expected an environment variable with a key of plain ASCII characters")
    return value


def _parser() -> CommandParser:
    parser = CommandParser("serve", "Answer requests over HTTP; a page to try it is at the address it prints.")
    add_model_option(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=number(int, 0, 65535), default=8000, metavar="N", help="0: any (default: %(default)s)"
    )
    _add_limits(parser)
    parser.add_argument(
        "--api-key-env", metavar="NAME", help="environment variable with the key that clients must show"
    )
    parser.add_argument("--label-studio", metavar="URL", help="a Label Studio whose pictures this server may fetch")
    parser.add_argument("--label-studio-token-env", metavar="NAME", help="environment variable with its access token")
    add_device_option(parser)
    add_precision_option(parser)
    return parser


def _add_limits(parser: CommandParser) -> None:
    limits = (
        ("--max-queue", number(int, 0), 16, "requests that wait; more are answered 429"),
        ("--max-batch", number(int, 1), None, "pictures of a size computed together (default: 1 on a CPU, 4 on a GPU)"),
        ("--max-body", number(int, 1), 20_000_000, "bytes of a request"),
        ("--max-pixels", number(int, 1), 40_000_000, "of a picture"),
        ("--timeout", number(float, 0.001), 30.0, "seconds for an answer, waiting included"),
        ("--patience", number(float, 0.001), 10.0, "seconds for a header, and for a body beside 1 s per 100 kB"),
        ("--drain", number(float, 0), 2.0, "seconds after SIGTERM in which requests are still taken"),
    )
    for name, kind, default, meaning in limits:
        shown = meaning if default is None else f"{meaning} (default: {default})"
        parser.add_argument(name, type=kind, default=default, metavar="N", help=shown)
