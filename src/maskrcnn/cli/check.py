"""`maskrcnn check`: check a data set before training on it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskrcnn.cli.arguments import CommandParser, add_device_option, add_naming_options
from maskrcnn.cli.contents import print_contents
from maskrcnn.cli.convert import require_new
from maskrcnn.cli.training_settings import DEFAULT_PRESET
from maskrcnn.errors import UserError
from maskrcnn.text import counted, one_line

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.cli.suggestions import Suggestion
    from maskrcnn.config import Config
    from maskrcnn.data.coco import LabelledImages
    from maskrcnn.data.formats.naming import Naming
    from maskrcnn.data.formats.table import Labels

_COST = "; a model that is trained further (--init) has anchors of its own, and would first learn others"


def main(arguments: Sequence[str]) -> int:
    """Print what is in the data set, what is wrong with it, and which settings it asks for; 1 if there are faults."""
    values = _parser().parse(arguments)
    from maskrcnn.data.stuff import with_stuff
    from maskrcnn.presets import preset
    from maskrcnn.settings import parse_assignments, update_config
    from maskrcnn.training.published import fitting_model

    given = parse_assignments(values.set)
    config = update_config(preset(values.preset or DEFAULT_PRESET), given, "--set")
    _require_targets(values)
    labels = _labels(values, config)
    splits = [with_stuff(_through_reader(part, values, config), config.data.stuff) for part in labels]
    broken = [[] if values.headers_only else _undecodable(split) for split in splits]
    faults = sum(
        _print_split(split, lines, not values.headers_only) for split, lines in zip(splits, broken, strict=True)
    )
    between = _disagreements(splits)
    for line in between:
        print(f"fault: {line}", file=sys.stderr)
    _print_left_out(Path(values.data), labels, splits)
    start = None if values.preset else fitting_model(splits[0].categories.names)  # as `train` without a preset
    if start is None:
        compared, starting = f"the preset {values.preset or DEFAULT_PRESET}", config
    else:
        compared, starting = f"the bundled model {start}", update_config(_trained_settings(start), given, "--set")
    suggestions, costly = _suggestions(splits, starting, is_trained=start is not None)
    _print_suggestions(suggestions, costly, compared)
    if values.fix:
        _fix(labels, values, config)
    if values.output:
        _write_page(values, splits, [*between, *chain(*broken)], suggestions)
    return 1 if faults or between else 0


def _parser() -> CommandParser:
    parser = CommandParser("check", "Check a data set: files, annotations, object sizes; and suggest settings.")
    parser.add_argument(
        "data",
        metavar="DIR|FILE",
        help="a folder with images/ and instances_*.json (person_keypoints_*.json for a keypoint preset), or with "
        "labels in another known form, or one file",
    )
    parser.add_argument("--images", metavar="DIR", help="the images, if not in images/ beside the annotations")
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="the settings to compare with (default: those of the bundled model that knows the classes, as "
        f"`maskrcnn train` starts from it, else {DEFAULT_PRESET})",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="one setting; may be repeated"
    )
    add_naming_options(parser)
    parser.add_argument(
        "--output", metavar="DIR", help="also write a page (check.html): counts, examples, each fault with a picture"
    )
    parser.add_argument(
        "--model",
        metavar="NAME|FILE|RUN",
        help="for the page: what this model disagrees with, and which images without labels to label next",
    )
    parser.add_argument("--fix", metavar="DIR", help="write a repaired copy (COCO) into a new folder")
    add_device_option(parser)
    parser.add_argument("--headers-only", action="store_true", help="do not decode the images: faster")
    return parser


def _require_targets(values: Namespace) -> None:
    """What would only be found wrong after the work."""
    from maskrcnn.files import make_folder

    if values.model and not values.output:
        raise UserError("--model: expected --output DIR too, where the page goes that shows what the model says")
    if values.fix:
        require_new(Path(values.fix))
    if values.output:
        make_folder(Path(values.output))


def _labels(values: Namespace, config: Config) -> list[Labels]:
    """Every split: of the files that the preset names, or of labels in any form."""
    from maskrcnn.config.data import TRAIN_LAYOUT_NAMES
    from maskrcnn.data.formats.naming import Naming

    data = Path(values.data)
    images = Path(values.images) if values.images else None
    files = _files(data, config)
    if not files and any((data / name).is_file() for name in TRAIN_LAYOUT_NAMES):
        raise UserError(
            f"{data}: expected {config.data.train_annotations} and {config.data.val_annotations} in this folder, found "
            "neither; give the annotation file itself: maskrcnn check FILE.json --images DIR, or another --preset"
        )
    naming = Naming.of_files(values.colours or "", values.class_map or "", keypoints=config.keypoint_head.enabled)
    return [part for file in files or [data] for part in _opened(file, images, naming)]


def _through_reader(labels: Labels, values: Namespace, config: Config, **others: Any) -> LabelledImages:
    from maskrcnn.data.channels import Channels
    from maskrcnn.data.formats.table import read_any

    images = Path(values.images) if values.images else None
    settings = {"check_files": True, "need_masks": config.needs_masks, "crowd": config.data.crowd}
    return read_any(labels, images, channels=Channels.of(config.input), **settings | others)


def _files(data: Path, config: Config) -> list[Path]:
    """The annotation files of the names that the preset gives them, train first."""
    pattern = config.data.train_annotations.replace("train", "*")
    return sorted(data.glob(pattern), key=lambda file: "train" not in file.name) if data.is_dir() else []


def _opened(path: Path, images: Path | None, naming: Naming) -> list[Labels]:
    """A COCO file, or the splits of labels in another form."""
    from maskrcnn.data.formats.content import LabelContent
    from maskrcnn.data.formats.table import open_labels

    labels = open_labels(path, images, naming)
    if not isinstance(labels, LabelContent):
        return [labels]
    print(f"{path}: labels of the form {labels.form}")
    return [labels.split(name) for name in labels.splits] or [labels]


def _print_split(split: LabelledImages, broken: Sequence[str], decoded: bool) -> int:
    """Everything about one annotation file; returns the number of faults."""
    from maskrcnn.data.coco import channels_left_out
    from maskrcnn.data.drawn_boxes import drawn_boxes
    from maskrcnn.data.splits import copy_faults
    from maskrcnn.label_review.quirks import quirks_of

    others = [*copy_faults(split), *broken]
    for line in (*split.report.lines, *others):
        print(f"fault: {line}", file=sys.stderr)
    for line in (
        *split.report.summary(),
        *quirks_of(split),
        *filter(None, [channels_left_out(split), drawn_boxes(split)]),
    ):
        print(line)
    print_contents(split)
    if decoded:
        print(f"  decoding      {len(split.labels) - len(broken)} of {len(split.labels)} images decode")
    return split.report.counts.total() + len(others)


def _undecodable(split: LabelledImages) -> list[str]:
    from maskrcnn.data.windowed.files import decode

    errors = []
    for image in range(len(split.labels)):
        try:
            decode(split.folder / split.labels.file_name(image), split.labels.size(image), split.channels)
        except UserError as error:
            errors.append(str(error))
    return errors


def _disagreements(splits: Sequence[LabelledImages]) -> list[str]:
    """What is wrong between the first file and the others: other classes, images of one in the other."""
    from maskrcnn.data.splits import split_faults

    lines, first = list[str](), splits[0]
    for other in splits[1:]:
        if other.categories != first.categories:
            lines.append(f"{other.report.source}: other categories than {first.report.source}")
        lines += split_faults(first, other)
    return lines


def _print_left_out(data: Path, labels: Sequence[Labels], splits: Sequence[LabelledImages]) -> None:
    """How many pictures of a folder nobody has labelled; masks that are pictures could not be told from those."""
    from maskrcnn.data.formats.content import LabelContent
    from maskrcnn.data.formats.table import FORMATS
    from maskrcnn.label_review.suspects import left_out

    forms = (FORMATS[part.form if isinstance(part, LabelContent) else "coco"] for part in labels)
    if data.is_dir() and not any(form.has_pictures for form in forms) and (names := left_out(splits)):
        print(f"{data}: {counted(len(names), 'picture')} that no label names, such as {one_line(names[0])}; left out")


def _trained_settings(name: str) -> Config:
    """Those with which `train` goes on from a bundled model; its weights are not read."""
    from maskrcnn.loading import bundled_models
    from maskrcnn.presets.fine_tuning import fine_tuned
    from maskrcnn.weights.checkpoint import read_header

    config, *_ = read_header(bundled_models()[name])
    return fine_tuned(config)


def _suggestions(
    splits: Sequence[LabelledImages], config: Config, *, is_trained: bool
) -> tuple[list[str], list[Suggestion]]:
    """What to set, as lines; and what a trained model would lose its start by, so that it is not suggested."""
    from maskrcnn.cli.suggestions import statistics_of, suggest

    found = suggest(statistics_of(splits, config), config)
    costly = [suggestion for suggestion in found if is_trained and suggestion.costs_start]
    lines = [
        f"--set '{suggestion.assignment}'  ({suggestion.reason}{_COST if suggestion.costs_start else ''})"
        for suggestion in found
        if suggestion not in costly
    ]
    return lines, costly


def _print_suggestions(suggestions: Sequence[str], costly: Sequence[Suggestion], compared: str) -> None:
    if suggestions:
        print(f"suggested changes to {compared}:")
    elif not costly:
        print(f"the settings of {compared} fit these objects")
    else:
        print(f"nothing to change in {compared}")
    for suggestion in suggestions:
        print(f"  {suggestion}")
    for kept in costly:
        name, _, _ = kept.assignment.partition("=")
        print(f"{name} stays, though {kept.reason}: {compared} learned with it, and would first learn another")


def _fix(labels: Sequence[Labels], values: Namespace, config: Config) -> None:
    """A copy in which every fault that a rule repairs is repaired; what no rule can use is left out."""
    from maskrcnn.data.formats.table import as_content
    from maskrcnn.data.formats.writers.coco import write
    from maskrcnn.data.formats.writers.repaired import repaired

    target, images = Path(values.fix), Path(values.images) if values.images else None
    read = partial(_through_reader, values=values, config=config, need_masks=False, crowd="ignore")
    scene = repaired((as_content(part, images) for part in labels), read)
    write(scene, target)
    counts = f"{counted(len(scene.pictures), 'image')}, {counted(len(scene.coco['annotations']), 'object')}"
    print(f"{target}: a repaired copy, {counts}; the source is as it was")


def _write_page(
    values: Namespace, splits: Sequence[LabelledImages], lines: Sequence[str], suggestions: Sequence[str]
) -> None:
    from maskrcnn.label_review.page import Review, write_page
    from maskrcnn.label_review.suspects import disagreements, label_next, without_labels
    from maskrcnn.loading import load

    model = load(values.model, values.device) if values.model else None
    found = [] if model is None else [disagreements(model, split) for split in splits]
    unlabelled = [] if model is None else label_next(model, splits[0].folder, without_labels(splits))
    path = Path(values.output) / "check.html"
    write_page(path, Review(f"{Path(values.data).name}", splits, lines, suggestions, found, unlabelled))
    for kind, count in Counter(suspect.kind for part in found for suspect in part.suspects).items():
        print(f"{counted(count, 'object')} {kind}")
    print(f"page: {path}")
