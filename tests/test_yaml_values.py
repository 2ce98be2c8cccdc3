"""Texts that stand for more than they seem to, each made here of a few bytes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.settings import parse_assignments, read_settings, update_config
from maskrcnn.yaml_values import LARGEST_TEXT, parse_yaml


def laughs(levels: int, wide: int = 9) -> str:
    """A list of lists of lists, each level nine references to the one before."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        references = ", ".join([f"*a{level - 1}"] * wide)
        lines.append(f"a{level}: &a{level} [{references}]")
    return "\n".join(lines)


HOSTILE = {
    "laughs": laughs(9),
    "merged laughs": "a0: &a0 {x: 1}\n"
    + "\n".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 9)),
    "wide": f"a: &a [{'1, ' * 5000}]\nb: [{'*a, ' * 5000}]",
    "inside itself": "a: &a [*a]",
    "inside itself, as a key": "a: &a {? *a : 1}",
    "deep": "[" * 100_000,
    "deep blocks": "\n".join(" " * level + "a:" for level in range(400)),
    "long": "a: " + "x" * (LARGEST_TEXT + 1),
    "long value": "a: " + "x" * 10_000,
    "giant number": "a: " + "9" * 4000 + "\nb: 0x" + "f" * 4000,
    "base 60": "a: 1" + ":59" * 60_000,
    "the 45th": "a: 2024-13-45",
    "object": "a: !!python/object/apply:os.getcwd []",
    "key": "? [a, b]\n: 1",
    "two documents": "a: 1\n---\nb: 2",
    "escapes": 'a: "\x1b[2J',
    "broken": "a: [1, 2",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_settings_are_one_short_line_at_once(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        update_config(Config(), read_settings(path), str(path))
    assert time.process_time() - started < 5  # seconds instead of minutes; the slowest takes a tenth
    message = str(caught.value)
    assert str(path) in message and message.isprintable() and len(message) < 700


@pytest.mark.parametrize("value", [laughs(3).replace("\n", " "), "2024-01-01", "9" * 5000, "{a: [", "0x" + "f" * 999])
def test_hostile_assignments(value: str) -> None:
    with pytest.raises(UserError, match=r"^--set") as caught:
        update_config(Config(), parse_assignments([f"rpn.nms_threshold={value}"]), "--set")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 700


def test_names_of_any_length_and_kind_are_shown_short() -> None:
    for values in (
        {"x" * 10**6: {}},
        {"rpn": {"\x1b" * 10**5: 1}},
        {"rpn": "x" * 10**6},
        {"rpn": {"enabled": [[]] * 10**5}},
    ):
        with pytest.raises(UserError) as caught:
            update_config(Config(), values, "x.yaml")
        assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def test_references_that_stand_for_little_are_read() -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: {<<: &c {d: 3}}") == {"a": [1, 2], "b": [1, 2], "c": {"d": 3}}
    assert parse_yaml("") is None and parse_yaml("# nothing") is None
    assert len(parse_yaml(f"[{'1,' * 2000}]")) == 2000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_no_settings_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    with pytest.raises(UserError, match="expected a YAML file of settings, got a device or a pipe"):
        read_settings(tmp_path / "x.yaml")
