"""Checks that a section runs on its values when it is made."""

from __future__ import annotations

from maskrcnn.errors import UserError


def require(condition: bool, setting: str, expected: str, value: object) -> None:
    if not condition:
        raise UserError(f"{setting}: expected {expected}, got {value!r}")


def require_fraction(setting: str, value: float) -> None:
    require(0.0 <= value <= 1.0, setting, "a number from 0 to 1", value)


def require_positive(setting: str, value: float) -> None:
    require(value > 0, setting, "a number above 0", value)
