"""Read settings from outside into the dataclasses of `config/`: YAML files, `--set`, the JSON inside a checkpoint.

A setting is named `section.name`, as in Python. An unknown name is an error that offers the nearest one.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from maskrcnn.config import Config
from maskrcnn.config.checks import Length, hints_of, option_for
from maskrcnn.errors import UserError
from maskrcnn.text import brief, one_line


def config_to_dict(config: Config) -> dict[str, Any]:
    """Plain dictionaries, lists, numbers and strings, ready for JSON and YAML; `config_from_dict` reads them."""
    return {
        section.name: {k: _plain(v) for k, v in dataclasses.asdict(getattr(config, section.name)).items()}
        for section in dataclasses.fields(config)
    }


def config_from_dict(values: Mapping[str, Any], source: str = "settings") -> Config:
    """The settings `config_to_dict` wrote; what `values` lacks keeps its default. Raises as `update_config` does."""
    return update_config(Config(), values, source)


def update_config(config: Config, values: Mapping[str, Any], source: str) -> Config:
    """`config` with the settings in `values` (section -> name -> value) replaced.

    Raises:
        UserError: naming `source`, for an unknown section or setting, or a value of the wrong kind.
    """
    changed = {}
    for section, settings in values.items():
        if section not in _field_names(config):
            raise UserError(
                f"{source}: unknown section {one_line(str(section))}; {nearest(str(section), _field_names(config))}"
            )
        if not isinstance(settings, Mapping):
            raise UserError(f"{source}: {section} is a section: expected settings inside it, got {brief(settings)}")
        changed[section] = _update_section(getattr(config, section), section, settings, source)
    try:
        return dataclasses.replace(config, **changed)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def read_settings(path: Path) -> dict[str, Any]:
    """The sections of a YAML settings file."""
    from maskrcnn.yaml_values import read_yaml  # here, so that an exported model does without PyYAML

    values = read_yaml(path, "a YAML file of settings")
    if not isinstance(values or {}, Mapping):
        raise UserError(f"{path}: expected sections such as `rpn:` at the top level, got {brief(values)}")
    return dict(values or {})


def write_yaml(config: Config) -> str:
    """All settings as YAML text, one a line; `read_settings` reads it back from a file."""
    lines = []
    for section, settings in config_to_dict(config).items():
        lines += [f"{section}:", *(f"  {name}: {json.dumps(value)}" for name, value in settings.items())]
    return "\n".join(lines) + "\n"


def differing_settings(a: Config, b: Config) -> list[str]:
    """The full names, such as "rpn.nms_threshold", of the settings in which `a` and `b` differ."""
    ours, theirs = config_to_dict(a), config_to_dict(b)
    return [
        f"{section}.{name}"
        for section, settings in ours.items()
        for name, value in settings.items()
        if value != theirs[section][name]
    ]


def setting(config: Config, name: str) -> Any:
    """The value of a setting by its full name, such as "rpn.nms_threshold"."""
    section, _, field = name.partition(".")
    return getattr(getattr(config, section), field)


def parse_assignments(assignments: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`["rpn.nms_threshold=0.6"]` as `{"rpn": {"nms_threshold": 0.6}}`; values are read as YAML."""
    from maskrcnn.yaml_values import parse_yaml

    values: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        section, dot, setting = name.strip().partition(".")
        if not (equals and dot):
            raise UserError(f"--set {assignment}: expected section.name=value, such as rpn.nms_threshold=0.6")
        try:
            values.setdefault(section, {})[setting] = parse_yaml(text)
        except UserError as error:
            raise UserError(f"--set {one_line(assignment)}: cannot read the value {brief(text)}: {error}") from None
    return values


def nearest(name: str, choices: Iterable[str]) -> str:
    """The hint of every "unknown name" error: the nearest of `choices`, or all of them."""
    names, name = list(choices), one_line(name)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"expected one of {', '.join(names)}"


def _update_section(section: Any, name: str, settings: Mapping[str, Any], source: str) -> Any:
    """A section with some of its values replaced, all at once since checks may compare two of them."""
    hints = hints_of(type(section))
    for setting in settings:
        if setting not in hints:
            raise UserError(
                f"{source}: unknown setting {name}.{one_line(str(setting))}; {_nearest_setting(name, str(setting))}"
            )
    values = {s: _convert(value, hints[s], f"{source}: {name}.{s}") for s, value in settings.items()}
    try:
        return dataclasses.replace(section, **section.completed(values))
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _field_names(section: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(section)]


def _nearest_setting(section: str, setting: str) -> str:
    """The hint for an unknown setting: the same name in another section, or else the nearest full name."""
    names = [f"{s}.{name}" for s, settings in config_to_dict(Config()).items() for name in settings]
    elsewhere = [name for name in names if name.endswith(f".{setting}")]
    if elsewhere:
        return f"did you mean {' or '.join(elsewhere)}?"
    in_section = [name for name in names if name.startswith(f"{section}.")]
    return nearest(f"{section}.{setting}", in_section)


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _convert(value: Any, hint: Any, where: str) -> Any:
    """`value` as the type `hint`; lists become tuples, and numbers may come as text (YAML reads 1e-3 so)."""
    origin, options = get_origin(hint), get_args(hint)
    if origin is Annotated:
        _require_length(value, options[1:], where)
        return _convert(value, options[0], where)
    if origin is Literal:
        return _require_choice(value, options, where)
    if origin in (Union, types.UnionType):
        optional = types.NoneType in options
        if value is None and optional:
            return None
        return _convert(value, option_for(value, options), f"{where} (null: none)" if optional else where)
    if origin is tuple:
        return _convert_tuple(value, options, where)
    return _convert_scalar(value, hint, where)


def _require_length(value: Any, limits: tuple[Any, ...], where: str) -> None:
    """Before what is in a list is looked at: a few bytes of YAML can stand for very many values."""
    for limit in limits:
        if isinstance(limit, Length) and isinstance(value, list | tuple) and len(value) > limit.high:
            raise UserError(f"{where}: expected at most {limit.high} values, got {len(value)}")


def _require_choice(value: Any, options: tuple[Any, ...], where: str) -> Any:
    if value not in options:
        raise UserError(f"{where}: expected one of {', '.join(map(str, options))}, got {brief(value)}")
    return value


def _convert_tuple(value: Any, options: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise UserError(f"{where}: expected a list such as [1, 2], got {brief(value)}")
    if options[-1] is Ellipsis:
        return tuple(_convert(item, options[0], where) for item in value)
    if len(value) != len(options):
        raise UserError(f"{where}: expected {len(options)} values, got {len(value)}: {brief(value)}")
    return tuple(_convert(item, hint, where) for item, hint in zip(value, options, strict=True))


def _convert_scalar(value: Any, kind: type, where: str) -> Any:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    if kind in (int, float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise UserError(f"{where}: expected {words[kind]}, got {brief(value)}") from None
        if number.is_integer() or (kind is float and math.isfinite(number)):
            return kind(number)
    elif type(value) is kind:
        return value
    raise UserError(f"{where}: expected {words[kind]}, got {brief(value)}")
