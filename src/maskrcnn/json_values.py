"""JSON files: values that may be anything, checked; and any number of values, written one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from maskrcnn.errors import UserError
from maskrcnn.file_kinds import JSON, START, kind_of
from maskrcnn.files import read_regular, unexpected, write_atomically

LARGEST_FILE = 2 * 2**30
"""Bytes; more than any data set's annotations."""

_LARGEST = 2**63 - 1
_DIGITS = len(str(_LARGEST))
_LONGEST_NUMBER = 40
"""Characters of a number that is text; more than any has that means something."""
_WHOLE = re.compile(r"(0|[1-9][0-9]*)(?:\.0+)?")
"""Text that stands for a whole number: `7`, or `7.0` as spreadsheets write it. `007` is a name."""
_NUMBERS = (int, float, np.integer, np.floating)  # a tuple: `int | float | ...` would be put together at every call


def load_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: the file cannot be read or is not JSON.
    """
    content = read_regular(path, LARGEST_FILE, "a JSON file")
    try:
        return json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise UserError(f"{path}: expected a file of labels or results, got JSON nested too deeply to be one") from None
    except ValueError as error:  # not JSON, not UTF-8, or a number of thousands of digits
        if kind_of(content[:START]) != JSON:
            raise unexpected(path, content[:START], "JSON text", "check which file was given") from None
        raise UserError(f"{path}: expected JSON text, but {error}; export the file again") from None


def write_json(path: Path, values: Iterable[Any], head: str = "", tail: str = "") -> None:
    """Write a list of values, each as it comes, so that memory does not grow with their number.

    Args:
        path: the file, replaced in one instant as `write_atomically` does.
        values: what `json.dumps` takes.
        head: text before the list, such as the start of the object that it belongs to.
        tail: text behind it.
    """

    def fill(partial: Path) -> None:
        with partial.open("w", encoding="utf-8") as file:
            file.write(f"{head}[")
            for place, value in enumerate(values):
                file.write(", " * (place > 0) + json.dumps(value))
            file.write(f"]{tail}")

    write_atomically(path, fill)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a number, of Python or NumPy, of bearable size: not infinite, not NaN, not true or false."""
    kind = type(value)
    if kind is not float and kind is not int and (kind is bool or not isinstance(value, _NUMBERS)):
        return False
    return bool(-_LARGEST <= value <= _LARGEST)


def whole_number(value: Any) -> int | None:
    """The value as an integer of 64 bits; 3.0 counts as 3, as some exporters write; None for anything else."""
    if type(value) is int:
        return value if -_LARGEST <= value <= _LARGEST else None
    return int(value) if is_number(value) and value == int(value) else None


def number_of(value: Any) -> float | None:
    """The number a value is, or spells as text ("12.5"), as some exporters write; None for anything else."""
    if type(value) is float:
        return value if -_LARGEST <= value <= _LARGEST else None
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if is_number(value) else None


def id_number(value: Any) -> int | None:
    """The whole number an id stands for: itself, that of its digits, or, of any other text, one made from the text.

    COCO's ids are numbers, but tools write text too. The same text gives the same number (48 bits) in every file.
    """
    if not isinstance(value, str) or not value:
        return whole_number(value)
    digits = _WHOLE.fullmatch(value)
    if digits is not None and len(digits[1]) < _DIGITS:
        return int(digits[1])
    return int.from_bytes(blake2b(value.encode("utf-8", "surrogatepass"), digest_size=6).digest())
