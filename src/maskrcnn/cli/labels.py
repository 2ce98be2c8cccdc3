"""The labels that `evaluate` and `compare` measure on: options, and what they name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import CommandParser, add_naming_options
from maskrcnn.errors import UserError
from maskrcnn.text import counted

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
        "--split",
        choices=("train", "val", "test"),
        help="of DIR (default: val; of labels without splits the images that the model's run has kept, else all)",
    )
    parser.add_argument("--annotations", metavar="FILE", help="labels, instead of those in DIR: all of them")
    add_naming_options(parser)
    parser.add_argument("--images", metavar="DIR", help="instead of images/ beside the annotations")


def require_one_place(values: Namespace) -> None:
    """Refuse neither and both of `--data` and `--annotations`, and a split of the latter."""
    if (values.data is None) == (values.annotations is None):
        raise UserError(
            "expected either --data DIR, labels of any known form or images/ and instances_val.json in it, "
            "or --annotations FILE and --images DIR"
        )
    if values.split and values.annotations:
        raise UserError("--split is for --data DIR; --annotations FILE is measured on as a whole, so leave out --split")


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

    naming = Naming.of_files(values.colours or "", values.class_map or "", keypoints=has_keypoints)
    images = Path(values.images) if values.images else None
    data = Path(values.data or "")
    usual = data / f"{'person_keypoints' if has_keypoints else 'instances'}_{values.split or 'val'}.json"
    file = Path(values.annotations) if values.annotations else usual
    if given and (values.annotations or file.is_file()) and is_coco_file(file):
        return file if naming.classes is None else naming.apply(coco_content(file, images or file.parent / "images"))
    if values.annotations:
        return open_labels(file, images, naming)
    if any((data / name).is_file() for name in (file.name, *LAYOUT_NAMES, *TRAIN_LAYOUT_NAMES)):
        return open_labels(file, images, naming)
    labels = open_labels(data, images, naming)
    content = coco_content(labels, images or labels.parent / "images") if isinstance(labels, Path) else labels
    return _part(content, values.split, [Path(model) for model in models])


def _part(labels: LabelContent, split: str | None, models: Sequence[Path]) -> LabelContent:
    """The split asked for; without splits that which the models' own runs did not learn from, or everything."""
    from maskrcnn.training.division import has_division

    folders = [(model if model.is_dir() else model.parent) / "split" for model in models]
    wanted = split or "val"
    if not labels.splits:
        part, what = _kept(labels, split, [folder for folder in folders if has_division(folder)])
    elif wanted in labels.splits:
        part, what = labels.split(wanted), wanted
    else:
        raise UserError(f"{labels.source}: no images for {wanted}, found {' and '.join(labels.splits)}; --split")
    print(f"{labels.source}: labels of the form {labels.form}; measured on {what}")
    return part


def _kept(labels: LabelContent, split: str | None, folders: Sequence[Path]) -> tuple[LabelContent, str]:
    """Of labels without splits: what runs have kept in these folders, and what that is."""
    from maskrcnn.training.division import NAMES, kept_part

    wanted = split or "val"
    found = [kept_part(labels, folder, wanted) for folder in folders] if wanted in NAMES else []
    parts = [(part, missing) for part, missing in found if _images(part)]
    if not parts:
        return labels, _why_all(labels, split, folders)
    (part, missing), *others = parts
    has_learned = wanted == "val" and len(folders) > 1 and any(_learned(part, folder) for folder in folders)
    if has_learned or any(_images(other) != _images(part) for other, _ in others):
        runs = " and ".join(str(folder.parent) for folder in folders)
        raise UserError(
            f"{labels.source}: expected models that kept the same images to measure on, but those of {runs} differ; "
            "name images that neither has learned from with --annotations"
        )
    what = "the images kept for it" if wanted == "val" else "the images it has learned from"
    return part, what + f"; {counted(missing, 'image')} of these not in the labels" * bool(missing)


def _why_all(labels: LabelContent, split: str | None, folders: Sequence[Path]) -> str:
    """What is measured on where no run has kept a part of these images."""
    if split:
        raise UserError(
            f"{labels.source}: no images for {split}: the labels name no splits, and no run of the model has kept any "
            "of these images for it; leave out --split"
        )
    learned = max((_learned(labels, folder) for folder in folders), default=0)
    return "all images" + f", {learned} of which the model has learned from" * bool(learned)


def _learned(labels: LabelContent, folder: Path) -> int:
    """How many of the images a run has learned from."""
    from maskrcnn.training.division import kept_part

    return len(_images(kept_part(labels, folder, "train")[0]))


def _images(labels: LabelContent) -> set[object]:
    return {image.get("id") for image in labels.coco["images"]}
