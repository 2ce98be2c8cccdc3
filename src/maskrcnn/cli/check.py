"""`maskrcnn check`: check a data set before training on it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskrcnn.cli.arguments import CommandParser, add_naming_options
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from torch import Tensor

    from maskrcnn.cli.suggestions import ObjectStatistics
    from maskrcnn.config import Config
    from maskrcnn.data.coco import LabelledImages
    from maskrcnn.data.formats import Labels
    from maskrcnn.structures import KeypointSchema

CLASSES_SHOWN = 100
"""More are counted together: a file may name fifty thousand."""


def main(arguments: Sequence[str]) -> int:
    """Print what is in the data set, what is wrong with it, and which settings it asks for; 1 if there are faults."""
    values = _parser().parse(arguments)
    from maskrcnn.data.stuff import with_stuff
    from maskrcnn.presets import preset
    from maskrcnn.settings import parse_assignments, update_config

    config = update_config(preset(values.preset), parse_assignments(values.set), "--set")
    splits = [with_stuff(split, config.data.stuff) for split in _read(values, config)]
    faults = sum(_print_split(split, decode=not values.headers_only) for split in splits)
    faults += _print_disagreements(splits)
    _print_suggestions(splits, config, values.preset)
    return 1 if faults else 0


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
        "--preset", default="small", metavar="NAME", help="the settings to compare with (default: %(default)s)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="one setting; may be repeated"
    )
    add_naming_options(parser)
    parser.add_argument("--headers-only", action="store_true", help="do not decode the images: faster")
    return parser


def _read(values: Namespace, config: Config) -> list[LabelledImages]:
    """Every split: of the files that the preset names, or of labels in any form."""
    from maskrcnn.config.data import TRAIN_LAYOUT_NAMES
    from maskrcnn.data.formats import read_any

    data = Path(values.data)
    settings: dict[str, Any] = {"check_files": True, "need_masks": config.needs_masks, "crowd": config.data.crowd}
    images = Path(values.images) if values.images else None
    files = _files(data, config)
    if not files and any((data / name).is_file() for name in TRAIN_LAYOUT_NAMES):
        raise UserError(
            f"{data}: expected {config.data.train_annotations} and {config.data.val_annotations} in this folder, found "
            "neither; give the annotation file itself: maskrcnn check FILE.json --images DIR, or another --preset"
        )
    labels = [part for file in files or [data] for part in _opened(file, images, values)]
    return [read_any(part, images, **settings) for part in labels]


def _files(data: Path, config: Config) -> list[Path]:
    """The annotation files of the names that the preset gives them, train first."""
    pattern = config.data.train_annotations.replace("train", "*")
    return sorted(data.glob(pattern), key=lambda file: "train" not in file.name) if data.is_dir() else []


def _opened(path: Path, images: Path | None, values: Namespace) -> list[Labels]:
    """A COCO file, or the splits of labels in another form."""
    from maskrcnn.data.formats import open_labels
    from maskrcnn.data.formats.content import LabelContent
    from maskrcnn.data.formats.naming import Naming

    labels = open_labels(path, images, Naming.of_files(values.colours or "", values.class_map or ""))
    if not isinstance(labels, LabelContent):
        return [labels]
    print(f"{path}: labels of the form {labels.form}")
    return [labels.split(name) for name in labels.splits] or [labels]


def _print_split(split: LabelledImages, decode: bool) -> int:
    """Everything about one annotation file; returns the number of faults."""
    from maskrcnn.data.splits import copy_faults

    others = [*copy_faults(split), *(broken := _undecodable(split) if decode else [])]
    for line in (*split.report.lines, *others):
        print(f"fault: {line}", file=sys.stderr)
    for line in split.report.summary():
        print(line)
    _print_contents(split)
    if decode:
        print(f"  decoding      {len(split.labels) - len(broken)} of {len(split.labels)} images decode")
    return split.report.counts.total() + len(others)


def _undecodable(split: LabelledImages) -> list[str]:
    from maskrcnn.data.images import read_labelled_image

    errors = []
    for image in range(len(split.labels)):
        try:
            read_labelled_image(split.folder / split.labels.file_name(image), split.labels.size(image))
        except UserError as error:
            errors.append(str(error))
    return errors


def _print_contents(split: LabelledImages) -> None:
    """Sizes, counts and classes."""
    import torch

    labels = split.labels
    kept, wanted = ~labels.ignore, labels.is_object
    images = torch.repeat_interleave(torch.arange(len(labels)), labels.first_object.diff())
    counts = images[wanted].bincount(minlength=len(labels))
    heights, widths = labels.image_sizes.unbind(dim=1)
    boxes = labels.boxes[wanted]
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt()
    print(f"  image width   {_spread(widths)} pixels")
    print(f"  image height  {_spread(heights)} pixels")
    print(f"  objects       {_spread(counts)} per image; {int((counts == 0).sum())} images without any")
    if len(sides):
        print(f"  object side   {_spread(sides)} pixels (root of the box area)")
    of_class = labels.labels[kept].bincount(minlength=len(split.categories)).tolist()
    for label, number in list(enumerate(of_class))[:CLASSES_SHOWN]:
        kind = "regions of stuff" if label in split.categories.stuff else "objects"
        print(f"  class         {split.categories.names[label]}: {number} {kind}")
    if len(of_class) > CLASSES_SHOWN:
        print(f"  class         and {len(of_class) - CLASSES_SHOWN} more with {sum(of_class[CLASSES_SHOWN:])} objects")
    if split.categories.keypoints is not None:
        _print_keypoints(split, split.categories.keypoints)


def _print_keypoints(split: LabelledImages, schema: KeypointSchema) -> None:
    pairs = sum(other > i for i, other in enumerate(schema.mirrored))
    labelled = int((split.labels.first_keypoint.diff() > 0).sum())
    print(f"  keypoints     {len(schema)}, of which {pairs} pairs of left and right; {labelled} objects have some")


def _spread(values: Tensor) -> str:
    return f"{values.min():.0f} to {values.max():.0f}, median {values.median():.0f}"


def _print_disagreements(splits: Sequence[LabelledImages]) -> int:
    """What is wrong between the first file and the others: other classes, images of one in the other."""
    from maskrcnn.data.splits import split_faults

    lines, first = [], splits[0]
    for other in splits[1:]:
        if other.categories != first.categories:
            lines.append(f"{other.report.source}: other categories than {first.report.source}")
        lines += split_faults(first, other)
    for line in lines:
        print(f"fault: {line}", file=sys.stderr)
    return len(lines)


def _print_suggestions(splits: Sequence[LabelledImages], config: Config, preset: str) -> None:
    from maskrcnn.cli.suggestions import suggest

    suggestions = suggest(_statistics(splits, config), config)
    if not suggestions:
        print(f"the settings of the preset {preset} fit these objects")
        return
    print(f"suggested changes to the preset {preset}:")
    for suggestion in suggestions:
        print(f"  --set '{suggestion.assignment}'  ({suggestion.reason})")


def _statistics(splits: Sequence[LabelledImages], config: Config) -> ObjectStatistics:
    import numpy as np

    from maskrcnn.cli.suggestions import ObjectStatistics, input_scale

    sides, most = [np.zeros(0)], 0
    for split in splits:
        labels = split.labels
        corners = labels.boxes.double().numpy()
        for image in range(len(labels)):
            objects = labels.objects(image)
            part = slice(objects.start, objects.stop)
            own = corners[part][labels.are_objects(image).numpy()]
            sides.append(np.sqrt((own[:, 2:] - own[:, :2]).prod(axis=1)) * input_scale(labels.size(image), config))
            most = max(most, len(own))
    return ObjectStatistics(np.concatenate(sides), most)
