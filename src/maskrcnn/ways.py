"""The ways to compute one thing, by name, and which of them is taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Way = TypeVar("Way")


class Ways(dict[str, Way]):
    """Functions with the same arguments and results: the plain reference, and beside it those that are in use.

    An op asks it with `choose`, tests walk all of it, and within `only` one way is taken wherever the op is called:

    >>> with NMS.only("reference"):
    ...     detections = network.predict(images)
    """

    def __init__(self, **ways: Way) -> None:
        super().__init__(ways)
        self._only: ContextVar[str | None] = ContextVar("only", default=None)

    def choose(self, name: str) -> Way:
        """The way of this name, unless another is prescribed."""
        return self[self._only.get() or name]

    @contextmanager
    def only(self, name: str) -> Iterator[None]:
        """In here, this way is taken, also where it is slow or made for another device; a `KeyError` if it is none."""
        _ = self[name]
        token = self._only.set(name)
        try:
            yield
        finally:
            self._only.reset(token)
