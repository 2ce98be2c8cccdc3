"""`maskrcnn train`: train a model on your own data."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import (
    CommandParser,
    add_device_option,
    add_naming_options,
    add_proposals_option,
    number,
)
from maskrcnn.cli.contradictions import without_effect
from maskrcnn.cli.labelled_classes import labelled_classes, shown_classes
from maskrcnn.cli.training_settings import DEFAULT_PRESET, given_settings, settings_of
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.config import Config
    from maskrcnn.data.formats.content import LabelContent
    from maskrcnn.training.initial import Initial
    from maskrcnn.training.loop import TrainResult


def main(arguments: Sequence[str]) -> int:
    """Train, or with --print-config only show the settings."""
    values = _parser().parse(arguments)
    if values.output is None and not values.print_config:
        raise UserError("--output is missing: expected a new folder for the model; see maskrcnn train --help")
    initial, labels = start_of(values)
    config = settings_of(values, initial, _tell)
    for line in without_effect(given_settings(values), config):
        _tell(line)
    if values.print_config:
        from maskrcnn.settings import write_yaml

        print(write_yaml(config), end="")
        return 0
    _require_data(values, config)
    _require_named_files(values, config)
    from maskrcnn.training.loop import train

    result = train(config, Path(values.output), device=values.device, resume=values.resume, init=initial, labels=labels)
    if os.environ.get("RANK", "0") == "0":  # of several ranks, under torchrun
        _report(result)
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        "train",
        "Train a model. Settings: the preset, over it the YAML file, over that each --set, over that the options "
        "that name the data. --resume takes the settings of the interrupted run, unless --preset is given.",
    )
    parser.add_argument(
        "--data",
        metavar="DIR|FILE",
        help="labels of any known form, or images/, instances_train.json and instances_val.json (COCO); for a keypoint "
        "preset person_keypoints_train.json and person_keypoints_val.json",
    )
    parser.add_argument("--output", metavar="DIR", help="a new folder for the model, the log and the state")
    parser.add_argument("--preset", metavar="NAME", help=f"see `maskrcnn models` (default: {DEFAULT_PRESET})")
    parser.add_argument("--config", metavar="FILE.yaml", help="settings, as --print-config writes them")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="one setting; may be repeated"
    )
    parser.add_argument("--train-annotations", metavar="FILE", help="instead of DIR/instances_train.json")
    parser.add_argument("--val-annotations", metavar="FILE", help="instead of DIR/instances_val.json")
    parser.add_argument("--images", metavar="DIR", help="instead of DIR/images")
    parser.add_argument(
        "--val",
        type=number(float, 0, 0.9),
        metavar="PART",
        help="of the images, to measure on where the labels name none for that (default: 0.2; 0: nothing is evaluated)",
    )
    add_naming_options(parser)
    parser.add_argument(
        "--init",
        metavar="NAME|FILE|none",
        help="weights to start with: a model (see `maskrcnn models`), a file of this package or of another library, or "
        "none for random ones; without --preset the model is that of the weights, trained gently (default: the bundled "
        "backbone of the preset; nothing is downloaded unless it is named)",
    )
    _add_length_options(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in the output folder; with --epochs N or --set schedule.steps=N for longer or shorter",
    )
    parser.add_argument("--print-config", action="store_true", help="print all settings as YAML and stop")
    add_proposals_option(parser)
    add_device_option(parser)
    return parser


def _add_length_options(parser: CommandParser) -> None:
    """How long, how many images at a time, and whether a few are learned by heart."""
    length = parser.add_mutually_exclusive_group()
    off = "0: not those of --config"
    length.add_argument(
        "--epochs", type=number(float, 0, 1e6), metavar="N", help=f"passes over the training images; {off}"
    )
    length.add_argument(
        "--minutes",
        type=number(float, 0, 1e6),
        metavar="M",
        help=f"how long to train; a few steps are timed first; {off}",
    )
    parser.add_argument(
        "--batch", type=_batch, metavar="N|auto", help="images at a time; auto: what the free memory allows"
    )
    parser.add_argument(
        "--overfit",
        type=number(int, 1, 1000),
        metavar="N",
        help="learn the first N images by heart and measure on them: can this model learn these labels?",
    )


def _batch(text: str) -> float | str:
    return text if text == "auto" else number(int, 1, 1_000_000)(text)


def start_of(values: Namespace) -> tuple[Initial | None, LabelContent | None]:
    """The weights to start with, and the labels if these had to be read to choose them.

    A resumed run has its own weights, if it came as far as to save them, and nothing is downloaded unasked.
    """
    if values.resume and _has_state(values):
        if values.init:
            _tell(f"--init {values.init}: left out, since the run in {values.output} goes on with its own weights")
        return None, None
    if values.init == "none":
        return None, None
    from maskrcnn.training.initial import read_initial

    if values.init:
        return read_initial(values.init), None
    from maskrcnn.data.formats.content import UNNAMED
    from maskrcnn.training.published import fitting_model

    config = settings_of(values)
    if not values.print_config:
        _require_data(values, config)
    if values.preset or values.config:
        return _default_start(values, config), None
    names, labels = (shown_classes(config, _tell), None) if values.print_config else labelled_classes(config)
    name = fitting_model(names)
    if names == (UNNAMED,):
        _tell(
            f"{values.data}: no label says what the objects are; where a bundled model knows them (nuclei, cells), a "
            f"file with the line `{UNNAMED}: nucleus` after --class-map lets training start from it"
        )
    return read_initial(name) if name else _default_start(values, config), labels


def _default_start(values: Namespace, config: Config) -> Initial | None:
    """What comes with the package; settings alone can be shown where only published weights would do, too."""
    from maskrcnn.training.initial import read_initial
    from maskrcnn.training.published import bundled_start, default_initial

    if not values.print_config:
        return default_initial(config)
    bundled = bundled_start(config)
    return read_initial(bundled) if bundled else None


def _tell(line: str) -> None:
    """On standard error; of several ranks, under torchrun, the first."""
    if os.environ.get("RANK", "0") == "0":
        print(line, file=sys.stderr)


def _has_state(values: Namespace) -> bool:
    """Whether the run in the output folder has saved weights to go on with."""
    from maskrcnn.training.folder import RunFolder

    return RunFolder(Path(values.output or "")).has_state


def _require_data(values: Namespace, config: Config) -> None:
    if config.data.root or values.train_annotations is not None:
        return
    if values.resume:
        raise UserError(
            f"{values.output}: expected the folder of a run to resume, but it has no config.yaml; give the --output of "
            "that run, or --data to begin a new one"
        )
    raise UserError(
        "--data is missing: expected a folder that holds images/, instances_train.json and "
        "instances_val.json; other layouts: --train-annotations, --val-annotations and --images"
    )


def _require_named_files(values: Namespace, config: Config) -> None:
    """What the command line names must be there, also where training could do without it."""
    from maskrcnn.settings import parse_assignments

    named = parse_assignments(values.set).get("data", {})
    root = Path(config.data.root)
    folder = root.parent if root.is_file() else root
    for name in ("train_annotations", "val_annotations", "images", "class_map", "colours"):
        path = folder / getattr(config.data, name)
        is_named = getattr(values, name) is not None or named.get(name)
        if is_named and not (path.is_dir() if name == "images" else path.is_file()):
            kind = "folder" if name == "images" else "file"
            raise UserError(f"{path}: no such {kind}, though data.{name} names it; check the path")


def _report(result: TrainResult) -> None:
    score = "" if result.best_score is None else f" (best validation score {result.best_score:.3f})"
    print(f"model: {result.best}{score}")
    print(f"use it: maskrcnn predict IMAGES --model {result.best}")
