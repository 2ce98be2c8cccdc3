"""The labels of a run by their splits; where they name none, they are divided once, and the division is kept.

RUN/split/instances_train.json, instances_val.json: COCO files, with their images' folder in `info`. A resumed run reads
them again, so that it goes on with the images it began with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from maskrcnn.config import Config
from maskrcnn.config.data import TRAIN_LAYOUT_NAMES
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.naming import Naming
from maskrcnn.data.formats.table import Labels, coco_content, open_labels
from maskrcnn.data.splitting import divide
from maskrcnn.errors import UserError
from maskrcnn.files import make_folder, relative_path
from maskrcnn.json_values import write_json

Say = Callable[[str], None]

NAMES = {split: f"instances_{split}.json" for split in ("train", "val")}
"""What the two files are called."""


@dataclass(frozen=True)
class Division:
    """The labels of a run.

    Attributes:
        splits: "train", and "val" if there is one; empty: the settings name COCO files.
        made: those that were made here and are to be kept.
        root: the folder that paths in kept files are relative to.
    """

    splits: dict[str, Labels] = field(default_factory=dict)
    made: dict[str, LabelContent] = field(default_factory=dict)
    root: Path = Path()

    def keep(self, folder: Path) -> None:
        """Write what was made into a folder, as COCO files.

        Raises:
            UserError: it cannot be written.
        """
        for split, content in self.made.items():
            make_folder(folder)
            images = relative_path(content.folder, self.root)
            place = os.path.abspath(content.folder) if images.startswith("..") else images
            rest = {name: part for name, part in content.coco.items() if name not in ("annotations", "info")}
            head = f'{json.dumps({"info": {"images": place}, **rest})[:-1]}, "annotations": '
            write_json(folder / NAMES[split], content.coco["annotations"], head, "}")


def find_division(config: Config, kept: Path, say: Say, content: LabelContent | None = None) -> Division:
    """The splits of the labels in `data.root`; none where COCO files of the usual layout or of other names are meant.

    Args:
        config: `data` names the labels; `data.val_fraction`, `data.group_by` and `train.seed` divide them.
        kept: the folder in which a run keeps its division; what is there counts.
        say: gets a line on what was found and done.
        content: of `data.root`, see `undivided_labels`; None: it is read.

    Raises:
        UserError: no known form of labels, or several; or nothing to learn from.
    """
    data, root = config.data, Path(config.data.root)
    if not is_to_divide(config):
        return Division(_renamed(config))
    if (kept / NAMES["train"]).is_file():
        return Division(_read_kept(kept, _folder_of(root)))
    content = content or _content(config)
    say(f"{root}: labels of the form {content.form}, {' and '.join(content.splits) or 'all for training'}")
    if is_divided := "val" not in content.splits and data.val_fraction > 0:
        content = _divided(content, config, kept, say)
    splits = {name: content.split(name) for name in content.splits} or {"train": content}
    if "train" not in splits:
        raise UserError(f"{root}: expected images to learn from (train), found only {' and '.join(splits)}")
    if "val" not in splits:
        say(f"{root}: no images to measure on (val), so nothing is evaluated")
    made = {split: splits[split] for split in NAMES} if is_divided and "val" in splits else {}
    return Division(dict(splits), made, _folder_of(root))


def undivided_labels(config: Config) -> LabelContent | None:
    """All labels of `data.root`, with the names wanted; None where the settings name COCO files.

    Raises:
        UserError: no known form of labels, or several.
    """
    return _content(config) if is_to_divide(config) else None


def is_to_divide(config: Config) -> bool:
    """Whether `data.root` holds labels of some form, not COCO files of the usual layout or of other names."""
    data, root = config.data, Path(config.data.root)
    is_usual = any((root / name).is_file() for name in TRAIN_LAYOUT_NAMES)
    return not is_usual and data.train_annotations in TRAIN_LAYOUT_NAMES and data.root != "" and root.exists()


def has_division(folder: Path) -> bool:
    """Whether a run has kept a division in this folder."""
    return all((folder / name).is_file() for name in NAMES.values())


def kept_part(content: LabelContent, folder: Path, split: str) -> tuple[LabelContent, int]:
    """Those of the images that a run has kept in a split, "train" or "val"; and how many of that split are not here.

    Images are known by the names of their files.
    """
    images = coco_content(folder / NAMES[split], content.folder).coco["images"]
    names = {image.get("file_name") for image in images}
    is_kept = {image.get("id"): image.get("file_name") in names for image in content.coco["images"]}
    part = content.divided({i: kept == (split == "val") for i, kept in is_kept.items()}).split(split)
    return part, len(names - {image.get("file_name") for image in part.coco["images"]})


def naming_of(config: Config) -> Naming:
    """What the settings say about names."""
    root, data = Path(config.data.root), config.data
    files = [str(_folder_of(root) / name) if name else "" for name in (data.colours, data.class_map)]
    return Naming.of_files(*files, keypoints=config.keypoint_head.enabled)


def _folder_of(root: Path) -> Path:
    return root.parent if root.is_file() else root


def _renamed(config: Config) -> dict[str, Labels]:
    """COCO files that are named, where their classes are to have other names."""
    naming, data, root = naming_of(config), config.data, Path(config.data.root)
    files = {"train": root / data.train_annotations, "val": root / data.val_annotations}
    if naming.classes is None:
        return {}
    found = {split: file for split, file in files.items() if file.is_file()}
    return {split: naming.apply(coco_content(file, root / data.images)) for split, file in found.items()}


def _content(config: Config) -> LabelContent:
    """All labels of the data folder or file, with the names wanted."""
    root, is_named = Path(config.data.root), config.data.images != "images"
    images = _folder_of(root) / config.data.images
    labels = open_labels(root, images if is_named else None, naming_of(config))
    return labels if isinstance(labels, LabelContent) else coco_content(labels, images)


def _divided(content: LabelContent, config: Config, kept: Path, say: Say) -> LabelContent:
    """With a part to measure on, if there is more than one image to divide."""
    data, seed = config.data, config.train.seed
    is_free = [image.get("split") != "test" for image in content.coco["images"]]
    free = [image for image, chosen in zip(content.coco["images"], is_free, strict=True) if chosen]
    division = divide(replace(content, coco={**content.coco, "images": free}), data.val_fraction, data.group_by, seed)
    measured = int(division.is_val.sum())
    if not free:
        return content
    if not measured:
        images = "one image" if len(free) == 1 else f"{len(free)} images that all belong together"
        say(f"{content.source}: {images} cannot be divided into images to learn from and images to measure on")
        return content
    say(
        f"{content.source}: no images to measure on are named, so {measured} of {len(free)} are, {division.reason} "
        f"(--val {data.val_fraction:g}, train.seed={seed}); see {kept}"
    )
    return content.divided(dict(zip((image.get("id") for image in free), division.is_val.tolist(), strict=True)))


def _read_kept(folder: Path, root: Path) -> dict[str, Labels]:
    """The division of a run that resumes; its images may have moved with the data folder."""
    found: dict[str, Labels] = {}
    for split, name in NAMES.items():
        if (folder / name).is_file():
            content = coco_content(folder / name, root)
            info = content.coco.get("info")
            images = info.get("images") if isinstance(info, dict) else None
            found[split] = replace(content, folder=root / images if isinstance(images, str) else root)
    return found
