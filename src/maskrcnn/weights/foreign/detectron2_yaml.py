"""Reading a detectron2 `config.yaml`, and the file that it is based on."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.text import brief
from maskrcnn.yaml_values import read_yaml

_EXPECTED = "detectron2's config.yaml"

_BASE = "_BASE_"
"""Names the file, from the folder of this one, whose settings hold where this one says nothing."""

_STARTS = frozenset("([TFN-.0123456789")
"""Of lists, True, False, None and numbers in Python's spelling."""

_MAX_BASES = 8


def read_detectron2_config(path: Path) -> dict[str, Any]:
    """The settings in a detectron2 `config.yaml`, "MODEL.RPN.NMS_THRESH" and so on; nothing in it is executed.

    Raises:
        UserError: the file, or one that it is based on, cannot be read or is no such file.
    """
    values = _read_with_bases(path, ())
    if not any(name.startswith("MODEL.") for name in values):
        raise UserError(f"{path}: expected {_EXPECTED}, with a section MODEL")
    return values


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested sections as one dictionary, with dots in the names."""
    return dict(_flat(values, ""))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _literal(value)


def _literal(value: Any) -> Any:
    """Text that is a value in Python's spelling, such as "(640, 800)", is that value, as for detectron2."""
    if isinstance(value, str) and value[:1] in _STARTS:
        try:
            return _lists(ast.literal_eval(value))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return _lists(value)


def _lists(value: Any) -> Any:
    return [_literal(item) for item in value] if isinstance(value, list | tuple) else value


def _read_with_bases(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """The settings of a file over those of its base; `above` are the files that led here."""
    values = dict(_read(path))
    base = values.pop(_BASE, None)
    if base is None:
        return flatten(values)
    if not isinstance(base, str) or "://" in base or Path(base).is_absolute():
        raise UserError(
            f"{path}: expected in `{_BASE}` the path of a file from this folder, got {brief(base)}; give the "
            "config.yaml that detectron2 wrote beside the trained model, which holds every setting"
        )
    if path in above or len(above) >= _MAX_BASES:
        raise UserError(
            f"{path}: expected at most {_MAX_BASES} files, each based on the next; this one leads to itself"
        )
    return _read_with_bases(path.parent / base, (*above, path)) | flatten(values)


def _read(path: Path) -> Mapping[str, Any]:
    values = read_yaml(path, _EXPECTED)
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected {_EXPECTED}, with a section MODEL")
    return values
