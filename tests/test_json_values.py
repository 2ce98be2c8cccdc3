from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number, is_number, load_json, number_of, whole_number


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), (-3, -3), (3.0, 3), (0, 0), (2**63 - 1, 2**63 - 1)],
)
def test_whole_numbers(value: Any, expected: int) -> None:
    result = whole_number(value)
    assert result == expected and type(result) is int


@pytest.mark.parametrize("value", [3.5, "3", True, None, [], {}, 2**63, 10**400, 1e300, math.nan, math.inf])
def test_anything_else_is_none(value: Any) -> None:
    assert whole_number(value) is None


@pytest.mark.parametrize("value", [0, 1.5, -2.25, 1e18, np.int8(3), np.float32(0.5)])
def test_numbers(value: Any) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", ["1", True, None, math.nan, math.inf, -math.inf, 10**400, [1], 1j, np.float64("nan")])
def test_no_numbers(value: Any) -> None:
    assert not is_number(value)


@pytest.mark.parametrize("content", [b'{"a": 1}', b'\xef\xbb\xbf{"a": 1}'])
def test_json_with_and_without_byte_order_mark(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    assert load_json(path) == {"a": 1}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{\0}\0",
        b"\x89PNG",
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"[" + b"9" * 10_000 + b"]",
    ],
    ids=["empty", "cut", "utf-16", "picture", "deep list", "deep object", "huge number"],
)
def test_what_is_no_json_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json: expected") as error:
        load_json(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.json: no such file"):
        load_json(tmp_path / "x.json")
    with pytest.raises(UserError, match="got a folder"):
        load_json(tmp_path)


@pytest.mark.parametrize(("value", "expected"), [(7, 7), (7.0, 7), ("7", 7), ("0", 0), (-3, -3)])
def test_ids_that_are_numbers(value: Any, expected: int) -> None:
    assert id_number(value) == expected


@pytest.mark.parametrize("value", [None, True, "", 1.5, [], {}, ["7"], 2**70])
def test_values_that_are_no_ids(value: Any) -> None:
    assert id_number(value) is None


def test_other_text_gives_a_number_of_its_own() -> None:
    texts = [
        "a",
        "b",
        "07",
        "-3",
        "+7",
        "7 ",
        "²",
        "٣",
        "\ud800",
        "9" * 5000,
        "9" * 19,
        *map("img_{}".format, range(1000)),
    ]
    numbers = [id_number(text) for text in texts]
    assert all(number is not None and 1000 < number < 2**48 for number in numbers)
    assert len(set(numbers)) == len(texts) and numbers == [id_number(text) for text in texts]
    assert id_number("img_1") == 128485014464730  # a fixed value: the same in every file and every run


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (2.5, 2.5),
        ("12.5", 12.5),
        (" 3 ", 3),
        ("1e3", 1000),
        ("x", None),
        ("", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_numbers_that_are_text(value: object, expected: float | None) -> None:
    assert number_of(value) == expected
    assert number_of("1" * 1000) is number_of(True) is number_of(None) is number_of([1]) is None


def test_whole_numbers_of_spreadsheets_are_ids() -> None:
    assert id_number("7.0") == id_number("7") == id_number("7.00") == 7
    assert len({id_number(text) for text in ("7", "007", "7.5", "7.0.0", "-7.0")}) == 5
