from __future__ import annotations

import datetime
from typing import Any

import pytest

from maskrcnn.errors import LONGEST_MESSAGE, UserError
from maskrcnn.text import brief, counted, one_line


def test_what_is_short_and_printable_stays() -> None:
    for text in ("", "cell", "Käfer №7", "two  blanks.png ", "核"):
        assert one_line(text) == text


def test_lines_and_escapes_become_harmless() -> None:
    assert one_line("a\n  b\tc\r\nd") == "a b c d"
    assert one_line("\x1b[2J\x07\u202eé\ud800\x00") == "\\x1b[2J\\x07\\u202eé\\ud800\\x00"


@pytest.mark.parametrize("text", ["x" * 121, "x" * 10**6, "\x1b" * 100, "\n" * 1000, "é\n" * 500])
def test_what_is_long_loses_its_middle(text: str) -> None:
    line = one_line(text)
    assert len(line) <= 120 and line.isprintable()
    assert len(text) < 200 or " ... " in line or line.isspace()
    assert one_line("begin" + "x" * 500 + "end", 30) == "beginxxxxxxxxxxxx ... xxxxxend"


def doubled(levels: int) -> list[Any]:
    """A value of a few lists that would be 2^levels long if written out."""
    value: list[Any] = ["x" * 100]
    for _ in range(levels):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        *("x" * 10**6, b"x" * 10**6, bytearray(10**6), 10**5000, -(10**5000), list(range(10**5)), doubled(60)),
        *(
            {str(i): i for i in range(10**4)},
            {1, 2},
            datetime.date(2026, 1, 1),
            None,
            "\x1b[2J\n",
            ValueError("\n" * 10**5),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_brief_is_a_short_line_for_everything(value: Any) -> None:
    assert len(brief(value)) <= 120 and brief(value).isprintable()


def test_brief_is_what_python_writes_where_that_is_short() -> None:
    for value in (3, -1.5, "a'b", [1, [2, "x"]], {"a": None}, (True,), 2**64):
        assert brief(value) == repr(value)


def test_a_user_error_is_one_printable_line_whatever_went_into_it() -> None:
    message = str(UserError(f"{'a' * 10**6}\x1b[31m\n: expected a number; correct it"))
    assert len(message) <= LONGEST_MESSAGE and message.isprintable()
    assert message.endswith("; correct it")
    assert str(UserError("short")) == "short"


def test_one_has_no_s() -> None:
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
