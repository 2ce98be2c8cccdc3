"""Reading and writing beside the work: the next image is decoded and the last one written while the network computes.

One thread for each is enough, since decoding and encoding release Python's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")

DEPTH = 2
"""At most this many items wait: memory stays that of a few images, however long the stream."""


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items in the same order, made by a thread a little before they are asked for.

    An error comes up where its item would have come. The items must end or come by themselves: leaving early waits
    for those being made.
    """
    end = object()
    iterator: Iterator[Any] = iter(items)
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        waiting: deque[Future[Any]] = deque(thread.submit(next, iterator, end) for _ in range(DEPTH))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(thread.submit(next, iterator, end))
                yield item
        finally:
            for future in waiting:
                future.cancel()


def mapped(function: Callable[[S], T], items: Iterable[S], threads: int) -> Iterator[T]:
    """`function` of each item, in their order, made by several threads a little before they are asked for.

    For what waits more than it works, such as reading from a network. An error comes up where its result would have.
    """
    with ThreadPoolExecutor(threads, "mapped") as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def followed(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Each item, and whether another one follows; it comes when that is known."""
    iterator = iter(items)
    for last in iterator:
        for item in iterator:
            yield last, True
            last = item
        yield last, False


class Behind:
    """A context in which calls are carried out by a thread, in order; an error comes up with a later call or the end.

    >>> with Behind() as behind:
    ...     behind.call(print, "written while other things happen")
    written while other things happen
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "write-behind")
        self._waiting: deque[Future[Any]] = deque()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Carry out `function(*arguments)` soon; waits where the thread cannot keep up."""
        self._waiting.append(self._thread.submit(function, *arguments))
        while len(self._waiting) > DEPTH:
            self._waiting.popleft().result()

    def __enter__(self) -> Behind:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=error is not None)
        if error is None:
            for future in self._waiting:
                future.result()
