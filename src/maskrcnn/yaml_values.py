"""YAML from a file or a command line, read in bounded time and memory.

A few hundred bytes can stand for gigabytes, since one part may be repeated by reference in another, that in a third,
and so on: what a text stands for is counted before it is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import yaml

from maskrcnn.errors import UserError
from maskrcnn.files import read_regular
from maskrcnn.text import one_line

LARGEST_TEXT = 2**18
"""Bytes; all settings together are a few thousand."""
MAX_VALUES = 20_000
"""With every reference written out."""
MAX_DEPTH = 20
LONGEST_VALUE = 4096
"""Characters of a single value."""


def read_yaml(path: Path, expected: str) -> Any:
    """The content of a YAML file.

    Raises:
        UserError: it cannot be read, or is no YAML of bearable size.
    """
    content = read_regular(path, LARGEST_TEXT, expected)
    try:
        return parse_yaml(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, UserError) as error:
        raise UserError(f"{path}: expected {expected}, but {error}") from None


def parse_yaml(text: str) -> Any:
    """The value of a YAML text: dictionaries, lists, text, numbers, dates, None.

    Raises:
        UserError: it is no YAML, or stands for more than the limits above.
    """
    if len(text) > LARGEST_TEXT:
        raise UserError(f"it is longer than {LARGEST_TEXT} characters")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _count(root, {}, 0)
        return loader.construct_document(root)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # ValueError: the 40th of a month, a huge number
        raise UserError(f"it cannot be read: {one_line(str(error), 200)}") from None


class _Loader(yaml.SafeLoader):
    """Stops at `MAX_DEPTH`: what is nested deeper costs the square of its depth, and then the interpreter's stack.

    Tuples, as some programs mark them, are lists; no other object of Python's is made.
    """

    depth = 0
    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        **yaml.SafeLoader.yaml_constructors,
        "tag:yaml.org,2002:python/tuple": yaml.SafeLoader.construct_yaml_seq,
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UserError(f"it is nested more than {MAX_DEPTH} deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _count(node: yaml.Node, known: dict[int, int | None], depth: int) -> int:
    """How many values a node stands for; each node is looked at once, however often it is referred to."""
    if depth > MAX_DEPTH:
        raise UserError(f"it is nested more than {MAX_DEPTH} deep")
    if id(node) not in known:
        known[id(node)] = None  # until all that is inside is counted
        known[id(node)] = 1 + sum(_count(part, known, depth + 1) for part in _parts(node))
    count = known[id(node)]
    if count is None:
        raise UserError("it refers to a part of itself from inside that part")
    if count > MAX_VALUES:
        raise UserError(f"it stands for more than {MAX_VALUES} values")
    return count


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.ScalarNode):
        if len(node.value) > LONGEST_VALUE:
            raise UserError(f"a value is longer than {LONGEST_VALUE} characters")
        return []
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)
