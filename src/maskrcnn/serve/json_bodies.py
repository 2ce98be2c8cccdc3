"""JSON that clients send: bounded before it is parsed, and its parts checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from maskrcnn.serve.problems import Problem
from maskrcnn.text import brief

T = TypeVar("T")

MAX_VALUES = 1_000_000
"""In one body: each becomes a Python object, which may take thirty times the bytes it was sent as."""

_WORDS: dict[Any, str] = {dict: "an object", list: "a list", str: "text"}


def load_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is; a `Problem` 400 where it is none, 413 where it has too many values."""
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) > MAX_VALUES:
        raise Problem(413, f"expected at most {MAX_VALUES} values in JSON; send pictures in binary or as base64")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):  # ValueError: not JSON, not UTF-8, or a number of thousands of digits
        raise Problem(400, "expected a JSON object, but the body is no JSON") from None
    if not isinstance(content, dict):
        raise Problem(400, f"expected a JSON object, got {brief(content)}")
    return content


def member(content: Mapping[str, Any], name: str, kind: type[T], default: T | None = None) -> T:
    """A member of an object; a `Problem` 400 where it is missing without a default, or of another kind."""
    value = content.get(name, default)
    if not isinstance(value, kind):
        found = "nothing" if value is None else brief(value)
        raise Problem(400, f"{name}: expected {_WORDS[kind]}, got {found}")
    return value
