"""The settings of a training, as the options of `maskrcnn train` ask for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskrcnn.cli.contradictions import require_consistent, superseded
from maskrcnn.errors import UserError
from maskrcnn.files import relative_path

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.config import Config
    from maskrcnn.training.initial import Initial

DEFAULT_PRESET = "light"
BATCH_MEMORY = 0.6
"""Of the free memory, what `--batch auto` uses."""


def settings_of(
    values: Namespace, initial: Initial | None = None, say: Callable[[str], object] = lambda _: None
) -> Config:
    """What the command line asks for: base <- what the weights need <- YAML file <- `--set` <- options naming data.

    A file may hold all settings there are, so that what weights need goes over those of it that nobody has chosen.

    Args:
        values: of the options.
        initial: the weights to start with.
        say: gets a line on each setting of the base or the file that gives way, to the command line or to the weights.

    Raises:
        UserError: no such settings, those of the file or of `--set` are not what the weights need, two of the command
            line contradict each other, or nothing says how long to train.
    """
    from maskrcnn.settings import parse_assignments, read_settings, update_config

    given = given_settings(values)
    config = _base(values, initial)
    if initial is not None:
        config = initial.bind(config)
    in_file = read_settings(Path(values.config)) if values.config else {}
    config = update_config(config, in_file, values.config or "")
    config, gave_way = _giving_way(config, initial)
    config = _without_superseded(config, given, say)
    config = update_config(config, parse_assignments(values.set), "--set")
    _require_length(values, given, _full_names(in_file))
    config = update_config(config, _options(values, config.data.root), "the options")
    require_consistent(given, config)
    if initial is not None:
        is_of_file = initial.contradicted(config).keys() <= _full_names(in_file).keys() - given.keys()
        initial.require_same_use(config, values.config if is_of_file else "")
        if gave_way:
            say(
                f"{values.config}: {' and '.join(gave_way)} left out, since {initial.source} needs what it learned with"
            )
    return config


def _without_superseded(config: Config, given: dict[str, Any], say: Callable[[str], object]) -> Config:
    from maskrcnn.settings import parse_assignments, setting, update_config

    replaced = superseded(given, config)
    for name, by in replaced.items():
        say(f"{name}={setting(config, name):g}: left out, since {by} is given")
    return update_config(config, parse_assignments(f"{name}=0" for name in replaced), "the options")


def _giving_way(config: Config, initial: Initial | None) -> tuple[Config, Collection[str]]:
    """`config` in which settings that are only a preset's or the default give way to what the weights need.

    Returns:
        It, and the full names of the settings that gave way.
    """
    from maskrcnn.config import Config
    from maskrcnn.presets import PRESETS
    from maskrcnn.settings import setting

    if initial is None or not (needed := initial.contradicted(config)):
        return config, ()
    usual = [Config(), *(make() for make in PRESETS.values())]
    if all(setting(config, name) in [setting(own, name) for own in usual] for name in needed):
        return initial.bind(config), needed
    return config, ()


def given_settings(values: Namespace) -> dict[str, Any]:
    """Those that the command line itself gives, by their full names; a file may hold all there are."""
    from maskrcnn.settings import parse_assignments

    options = _options(values, "")
    if values.data is None:
        del options["data"]["root"]
    return _full_names(parse_assignments(values.set)) | _full_names(options)


def _full_names(sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{section}.{name}": value for section, own in sections.items() for name, value in own.items()}


def _require_length(values: Namespace, given: Mapping[str, Any], in_file: Mapping[str, Any]) -> None:
    """0 switches off what a file or a run has switched on; else the preset's many steps would follow from it."""
    named = {**in_file, **given}
    lengths = {option: f"schedule.{option}" for option in ("epochs", "minutes")}
    is_known = values.resume or "schedule.steps" in named or any(named.get(name) for name in lengths.values())
    for option, name in lengths.items():
        if given.get(name) == 0 and not is_known:
            typed = f"--{option}" if getattr(values, option) == 0 else f"--set {name}"
            raise UserError(f"{typed}: expected a number above 0, got 0, and nothing else says how long to train")


def _options(values: Namespace, root: str) -> dict[str, dict[str, Any]]:
    """What options set that have names of their own: the data, how long, and how many images at a time."""
    data: dict[str, Any] = {**_data_options(values, root)}
    if values.val is not None:
        data["val_fraction"] = values.val
    schedule = {name: getattr(values, name) for name in ("epochs", "minutes") if getattr(values, name) is not None}
    train: dict[str, Any] = {} if values.overfit is None else {"overfit": values.overfit}
    if values.batch == "auto":
        train["batch_memory"] = BATCH_MEMORY
    elif values.batch is not None:
        train["batch_size"] = values.batch
    return {"data": data, "schedule": schedule, "train": train}


def _base(values: Namespace, initial: Initial | None) -> Config:
    """The preset; without one, the model of the weights named; to resume, what the run began with."""
    from maskrcnn.presets import preset
    from maskrcnn.settings import config_from_dict, read_settings

    saved = _saved_settings(values)
    if values.resume and not values.preset and saved.is_file():
        return config_from_dict(read_settings(saved), str(saved))
    base = preset(values.preset or DEFAULT_PRESET)
    if initial is None or values.preset or not (values.init or initial.categories.ids):
        return base
    from maskrcnn.presets.fine_tuning import fine_tuned

    if initial.categories.ids:
        return fine_tuned(initial.config)
    return replace(initial.config, data=base.data, schedule=base.schedule, train=base.train)


def _saved_settings(values: Namespace) -> Path:
    return Path(values.output or "") / "config.yaml"


def _data_options(values: Namespace, root: str) -> dict[str, str]:
    """Files are meant relative to where the command is typed; the settings hold those in the root relative to it."""
    root = values.data if values.data is not None else root
    options = {"root": root}
    named = ("train_annotations", "val_annotations", "images", "class_map", "colours")
    given = {name: getattr(values, name) for name in named}
    given |= dict.fromkeys(("train_proposals", "val_proposals"), values.proposals)
    folder = os.path.dirname(root) if os.path.isfile(root) else root
    for name, path in given.items():
        if path is not None:
            relative = relative_path(path, folder or ".")
            options[name] = os.path.abspath(path) if relative.startswith("..") else relative
    return options
