"""The labels that `evaluate` and `compare` measure on: options, and what they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import CommandParser, add_naming_options
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.data.formats.content import LabelContent
    from maskrcnn.data.formats.table import Labels


def add_label_options(parser: CommandParser) -> None:
    """`--data`, `--split`, `--annotations`, `--images`, and the names that labels do not give."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="labels of any known form, or images/ and instances_val.json (person_keypoints_val.json for a model with "
        "keypoints)",
    )
    parser.add_argument(
        "--split", choices=("train", "val", "test"), default="val", help="of DIR (default: %(default)s)"
    )
    parser.add_argument("--annotations", metavar="FILE", help="labels, instead of those in DIR: all of them")
    add_naming_options(parser)
    parser.add_argument("--images", metavar="DIR", help="instead of images/ beside the annotations")


def require_one_place(values: Namespace) -> None:
    """Refuse neither and both of `--data` and `--annotations`."""
    if (values.data is None) == (values.annotations is None):
        raise UserError(
            "expected either --data DIR, labels of any known form or images/ and instances_val.json in it, "
            "or --annotations FILE and --images DIR"
        )


def named_labels(values: Namespace, models: Sequence[str], *, has_keypoints: bool, given: bool) -> Labels:
    """What to measure on: the file or folder that is named, or the split of the data folder.

    Args:
        values: of the options.
        models: folders or files of models, whose runs may have kept images to measure on.
        has_keypoints: whether to prefer labels with keypoints.
        given: whether there are results already: they name the ids of a COCO file, which may come without images.
    """
    from maskrcnn.config.data import LAYOUT_NAMES, TRAIN_LAYOUT_NAMES
    from maskrcnn.data.formats.naming import Naming
    from maskrcnn.data.formats.table import coco_content, is_coco_file, open_labels

    naming = Naming.of_files(values.colours or "", values.class_map or "")
    images = Path(values.images) if values.images else None
    data = Path(values.data or "")
    usual = data / f"{'person_keypoints' if has_keypoints else 'instances'}_{values.split}.json"
    file = Path(values.annotations) if values.annotations else usual
    if given and (values.annotations or file.is_file()) and is_coco_file(file):
        return file if naming.classes is None else naming.apply(coco_content(file, images or file.parent / "images"))
    if values.annotations:
        return open_labels(file, images, naming)
    if any((data / name).is_file() for name in (file.name, *LAYOUT_NAMES, *TRAIN_LAYOUT_NAMES)):
        return open_labels(file, images, naming)
    return _part(open_labels(data, images, naming), values.split, [Path(model) for model in models])


def _part(labels: Labels, split: str, models: Sequence[Path]) -> Labels:
    """The split asked for; without splits that which the models' own runs did not learn from, or everything."""
    from maskrcnn.data.formats.content import LabelContent

    if not isinstance(labels, LabelContent):
        return labels
    if split in labels.splits:
        part, what = labels.split(split), split
    elif labels.splits:
        raise UserError(f"{labels.source}: no images for {split}, found {' and '.join(labels.splits)}; --split")
    else:
        part, what = _kept(labels, models)
    print(f"{labels.source}: labels of the form {labels.form}; measured on {what}")
    return part


def _kept(labels: LabelContent, models: Sequence[Path]) -> tuple[LabelContent, str]:
    from maskrcnn.training.division import kept_part

    parts = [kept_part(labels, (model if model.is_dir() else model.parent) / "split") for model in models]
    kept = [part for part in parts if part is not labels]
    if not kept:
        return labels, "all images"
    if any(_images(part) != _images(kept[0]) for part in kept):
        raise UserError(
            f"{labels.source}: expected models that kept the same images to measure on, but those of {models[0]} and "
            f"{models[1]} differ; name images that neither has learned from with --annotations"
        )
    return kept[0], "the images kept for it"


def _images(labels: LabelContent) -> set[object]:
    return {image.get("id") for image in labels.coco["images"]}
