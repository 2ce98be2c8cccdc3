"""Ranges of settings, stated in their types and checked when a section is made.

>>> @dataclass(frozen=True, kw_only=True)
... class ExampleConfig(Section, name="example"):
...     momentum: Annotated[float, Range(0, 1, below=True)] = 0.9
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from maskrcnn.errors import UserError
from maskrcnn.text import brief


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; with `above` without `low` itself, with `below` without `high`.

    `multiple_of` is for whole numbers.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False
    multiple_of: int = 1

    def __contains__(self, value: float) -> bool:
        inside = self.low <= value <= self.high  # NaN is not
        edge = (self.above and value == self.low) or (self.below and value == self.high)
        return inside and not edge and (self.multiple_of == 1 or value % self.multiple_of == 0)

    def __str__(self) -> str:
        start = f"{'above' if self.above else 'from'} {self.low}"
        end = f"{'below' if self.below else 'to'} {self.high}"
        return f"{start} {end}" + (f", a multiple of {self.multiple_of}" if self.multiple_of > 1 else "")


@dataclass(frozen=True)
class Length:
    """How many values a list has, or characters a text."""

    low: int
    high: int


Fraction = Annotated[float, Range(0, 1)]
Side = Annotated[float, Range(0, 65536)]
"""Pixels."""
Pixels = Annotated[int, Range(1, 65536)]
Width = Annotated[int, Range(1, 8192)]
"""Channels of a layer."""
Depth = Annotated[int, Range(0, 64)]
"""Layers in a row."""
Bins = Annotated[int, Range(1, 64)]
Grid = Bins | tuple[Bins, Bins]
"""What an operation on regions cuts out: bins a side, or (rows, columns)."""
Weight = Annotated[float, Range(0, 1e6)]
"""Factor of a loss."""
Count = Annotated[int, Range(1, 1_000_000)]
Steps = Annotated[int, Range(0, 1_000_000_000)]
Text = Annotated[str, Length(0, 4096)]


class Section:
    """Settings that stand together. Every value is of its type and in its range, or a `UserError` is raised.

    Attributes:
        section: what it is called in a file, for messages.
    """

    section: ClassVar[str]

    def __init_subclass__(cls, *, name: str) -> None:
        cls.section = name

    def __post_init__(self) -> None:
        for name, hint in hints_of(type(self)).items():
            _check(getattr(self, name), hint, f"{self.section}.{name}")

    def completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """New values of some settings, with those of others that mean nothing beside them."""
        return values


def hints_of(section: type[Section]) -> dict[str, Any]:
    """The types of a section's settings, with their ranges."""
    # mypy takes the hash of the class for that of its instances
    return _hints_of(section)  # type: ignore[arg-type]


@cache
def _hints_of(section: type[Section]) -> dict[str, Any]:
    hints = get_type_hints(section, include_extras=True)
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


def require(condition: bool, setting: str, expected: str, value: object) -> None:
    """What concerns several settings together."""
    if not condition:
        raise UserError(f"{setting}: expected {expected}, got {brief(value)}")


def _check(value: Any, hint: Any, where: str) -> None:
    kind, limits = (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is not None or types.NoneType not in options:
            _check(value, option_for(value, options), where)
    elif origin is Literal:
        require(value in options, where, f"one of {', '.join(map(str, options))}", value)
    elif origin is tuple:
        _check_tuple(value, options, limits, where)
    else:
        _check_plain(value, kind, limits, where)


def option_for(value: Any, options: tuple[Any, ...]) -> Any:
    """Which of a setting's types a value is meant as: a list as a tuple, where that is one of them."""
    kinds = [option for option in options if option is not types.NoneType]
    wants_tuple = isinstance(value, list | tuple)
    return next((kind for kind in kinds if (get_origin(kind) is tuple) == wants_tuple), kinds[0])


def _check_tuple(value: Any, options: tuple[Any, ...], limits: tuple[Length, ...], where: str) -> None:
    require(isinstance(value, tuple), where, "a tuple", value)
    for length in limits:
        require(length.low <= len(value) <= length.high, where, f"{length.low} to {length.high} values", value)
    if options[-1] is not Ellipsis:
        require(len(value) == len(options), where, f"{len(options)} values", value)
    for item, hint in zip(value, _repeated(options, len(value)), strict=True):
        _check(item, hint, where)


def _repeated(options: tuple[Any, ...], count: int) -> Iterator[Any]:
    yield from options[:1] * count if options[-1] is Ellipsis else options


def _check_plain(value: Any, kind: type, limits: tuple[Any, ...], where: str) -> None:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    allowed = (int, float) if kind is float else (kind,)
    right = type(value) in allowed and (kind is not float or math.isfinite(value))
    require(right, where, words[kind], value)
    for limit in limits:
        if isinstance(limit, Length):
            require(limit.low <= len(value) <= limit.high, where, f"text of at most {limit.high} characters", value)
        else:
            require(value in limit, where, f"{words[kind]} {limit}", value)
