"""Charging a growing quantity (seconds, operations) to the stages of a network while it runs."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

REST = "rest"
"""What lies between the stages."""


class Stage(NamedTuple):
    """A method of a part of a network, and the stage that its calls belong to."""

    name: str
    part: str
    """Path of the module; the empty path is the network itself."""
    method: str = "forward"


class StageMeter:
    """Charges what a meter counts to the innermost stage that is running, so that nested stages never count twice.

    Args:
        read: the meter: a number that only grows.

    Attributes:
        amounts: by stage, so far.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self.amounts: dict[str, float] = {}
        self._read = read
        self._running: list[str] = []
        self._mark = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What is counted inside belongs to `name`."""
        self._charge()
        self._running.append(name)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def _charge(self) -> None:
        now = self._read()
        if self._running:
            name = self._running[-1]
            self.amounts[name] = self.amounts.get(name, 0.0) + now - self._mark
        self._mark = now


def stopwatch(device: torch.device) -> Callable[[], float]:
    """Reads seconds; on a GPU only once all the work given to it so far is done."""

    def read() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return read


@contextmanager
def metered(network: nn.Module, stages: Iterable[Stage], meter: StageMeter) -> Iterator[None]:
    """While this lasts, calls of the stages' methods are charged to them; parts that the network lacks are left out."""

    def charged(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*arguments: Any, **options: Any) -> Any:
            with meter.stage(name):
                return method(*arguments, **options)

        return call

    with ExitStack() as replacements:
        for name, path, method in stages:
            part = _part(network, path)
            if part is not None:
                replacements.enter_context(_replaced(part, method, functools.partial(charged, name)))
        yield


class Call(NamedTuple):
    """What a method was given, and what it returned."""

    arguments: tuple[Any, ...]
    result: Any


@contextmanager
def recorded(part: nn.Module, method: str = "forward") -> Iterator[list[Call]]:
    """The calls of a method of a module while this lasts, with all they carry."""
    calls: list[Call] = []

    def recording(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*arguments: Any, **options: Any) -> Any:
            result = original(*arguments, **options)
            calls.append(Call(arguments, result))
            return result

        return call

    with _replaced(part, method, recording):
        yield calls


def _part(network: nn.Module, path: str) -> nn.Module | None:
    try:
        return network.get_submodule(path)
    except AttributeError:
        return None


@contextmanager
def _replaced(part: nn.Module, method: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Put a replacement before the class's method, or before one that was put there already."""
    own = vars(part).get(method)
    setattr(part, method, make(getattr(part, method)))
    try:
        yield
    finally:
        delattr(part, method)
        if own is not None:
            setattr(part, method, own)
