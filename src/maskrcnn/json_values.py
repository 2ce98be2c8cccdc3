"""Values of a JSON file that may be anything, checked."""

from __future__ import annotations

import json
import reprlib
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from maskrcnn.errors import UserError

_LARGEST = 2**63 - 1
_DIGITS = len(str(_LARGEST))
_NUMBERS = (int, float, np.integer, np.floating)  # a tuple: `int | float | ...` would be put together at every call


def load_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: the file cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise UserError(f"{path}: cannot read this file ({error.strerror or error})") from None
    except RecursionError:
        raise UserError(f"{path}: expected a file of labels or results, got JSON nested too deeply to be one") from None
    except ValueError as error:  # not JSON, not UTF-8, or a number of thousands of digits
        raise UserError(f"{path}: expected JSON text, but {error}; export the file again") from None


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a number, of Python or NumPy, of bearable size: not infinite, not NaN, not true or false."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return False
    return bool(-_LARGEST <= value <= _LARGEST)


def whole_number(value: Any) -> int | None:
    """The value as an integer of 64 bits; 3.0 counts as 3, as some exporters write; None for anything else."""
    return int(value) if is_number(value) and value == int(value) else None


def id_number(value: Any) -> int | None:
    """The whole number an id stands for: itself, that of its digits, or, of any other text, one made from the text.

    COCO's ids are numbers, but tools write text too. The same text gives the same number (48 bits) in every file.
    """
    if not isinstance(value, str) or not value:
        return whole_number(value)
    if value.isascii() and value.isdecimal() and len(value) < _DIGITS and value == str(int(value)):
        return int(value)
    return int.from_bytes(blake2b(value.encode("utf-8", "surrogatepass"), digest_size=6).digest())


def brief(value: Any) -> str:
    """A value as Python writes it, cut short: it may be megabytes long, or nested too deeply to print."""
    return reprlib.repr(value)
