"""The labels of a run: each file is read once, and what would spoil the run is found before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from maskrcnn.config import Config
from maskrcnn.config.data import LAYOUT_NAMES
from maskrcnn.data.channels import Channels
from maskrcnn.data.coco import LabelledImages, channels_left_out, read_coco, read_to_measure
from maskrcnn.data.drawn_boxes import drawn_boxes
from maskrcnn.data.formats.table import Labels, read_any
from maskrcnn.data.report import Fault
from maskrcnn.data.splits import copy_faults, split_faults
from maskrcnn.data.stuff import with_stuff, with_stuff_of
from maskrcnn.errors import UserError
from maskrcnn.structures.labels import MaskKind
from maskrcnn.text import one_line
from maskrcnn.training.label_cache import remembered

Say = Callable[[str], None]

_NAMES_SHOWN = 10


def read_train(labels: Labels, images: Path, config: Config, say: Say) -> LabelledImages:
    """What to learn from; `say` gets the report.

    Raises:
        UserError: no annotation file, or no object (no keypoint) to learn from.
    """
    train = with_stuff(_read(labels, images, config, read_coco), config.data.stuff)
    _say_summary(train, say)
    for fault in copy_faults(train):
        say(fault)
    if line := channels_left_out(train):
        say(line)
    _require_objects(train, config)
    if config.mask_head.enabled and (line := drawn_boxes(train)):
        say(line)
    if config.keypoint_head.enabled:
        _require_keypoints(train)
    if config.augment.copy_paste:
        _require_masks(train)
    if config.data.balance_by:
        say(_groups(train, config.data.balance_by))
    return train


def read_val(labels: Labels, images: Path, config: Config, train: LabelledImages, say: Say) -> LabelledImages | None:
    """What to measure on; None where nothing is to be evaluated.

    Found out now, not after hours of training: what would keep the split from being used, or make it useless.

    Raises:
        UserError: a file that is named and not there, no annotation file, or no class in common.
    """
    if isinstance(labels, Path) and not _is_there(labels, config.data.val_annotations, say):
        return None
    val = with_stuff_of(_read(labels, images, config, read_to_measure), train.categories)
    path = val.report.source
    _say_summary(val, say)
    if not set(val.categories.names) & set(train.categories.names):
        raise UserError(
            f"{path}: expected the categories of {train.report.source} ({_listed(train.categories.names)}), "
            f"got {_listed(val.categories.names)}; use the same names in both files"
        )
    if config.keypoint_head.enabled and val.categories.keypoints != train.categories.keypoints:
        say(f"{path}: its categories have other keypoints, so these are not evaluated")
    if alone := set(val.categories.names) ^ set(train.categories.names):
        say(f"{path}: categories in one of the two splits only: {_listed(sorted(alone))}")
    for fault in (*copy_faults(val), *split_faults(train, val)):
        say(fault)
    return val


def _read(labels: Labels, images: Path, config: Config, read: Callable[..., LabelledImages]) -> LabelledImages:
    if isinstance(labels, Path):
        return remembered(labels, images, read, _settings(config))
    return read_any(labels, images, read, **_settings(config))


def _is_there(path: Path, name: str, say: Say) -> bool:
    """Whether the validation file is there; only those of the usual layout may be missing."""
    if path.is_file():
        return True
    if name not in ("", *LAYOUT_NAMES):
        raise UserError(
            f"{path}: no such file, though data.val_annotations names it; correct the path, or leave it empty to train "
            "without evaluation"
        )
    say(f"{path}: no such file, so nothing is evaluated" if name else "no val_annotations: nothing is evaluated")
    return False


def _settings(config: Config) -> dict[str, Any]:
    return {
        "check_files": True,
        "max_pixels": config.data.max_pixels,
        "group_by": config.data.balance_by,
        "need_masks": config.needs_masks,
        "crowd": config.data.crowd,
        "channels": Channels.of(config.input),
    }


def _say_summary(labelled: LabelledImages, say: Say) -> None:
    for line in labelled.report.summary():
        say(line)


def _require_objects(labelled: LabelledImages, config: Config) -> None:
    path, counts, num_stuff = labelled.report.source, labelled.report.counts, labelled.report.num_stuff
    if labelled.report.num_objects or (num_stuff and config.semantic_head.enabled):
        return
    if num_stuff:
        raise UserError(
            f"{path}: expected annotated objects to learn from, got stuff alone ({num_stuff} regions of "
            f"{_listed(labelled.categories.stuff_names)}), which a branch for every pixel learns: "
            "--set semantic_head.enabled=true"
        )
    if counts[Fault.ALL_CROWDS]:
        raise UserError(
            f"{path}: expected annotated objects to learn from, got {labelled.report.num_ignored} crowds (iscrowd 1), "
            "which are ignored; if they are objects: --set data.crowd=object"
        )
    if boxes_alone := counts[Fault.MASK_UNUSABLE]:
        raise UserError(
            f"{path}: expected objects with masks (segmentation), which the mask branch learns from, got {boxes_alone} "
            "with boxes alone; add masks, or train without the branch: --set mask_head.enabled=false"
        )
    found = f"; most frequent: {counts.most_common(1)[0][0].value[0]}" if counts else ""
    raise UserError(f"{path}: expected annotated objects to learn from, got none{found}; check the annotations")


def _require_keypoints(labelled: LabelledImages) -> None:
    path = labelled.report.source
    schemas = [schema for schema in labelled.categories.schemas if schema is not None]
    if schemas and labelled.categories.keypoints is None:
        raise UserError(
            f"{path}: expected the same keypoints for all categories that have any, got {len(schemas)} unlike lists; "
            "train one model for each, or set keypoint_head.enabled to false"
        )
    if not len(labelled.labels.keypoints):
        got = "no labelled keypoint" if schemas else "categories without keypoints"
        raise UserError(f"{path}: expected keypoints to learn, got {got}; set keypoint_head.enabled to false")


def _require_masks(labelled: LabelledImages) -> None:
    kinds = labelled.labels.mask_kinds[labelled.labels.is_object]
    if len(kinds) and not (kinds != MaskKind.NONE).any():
        raise UserError(
            f"{labelled.report.source}: expected objects with masks to paste, got {len(kinds)} with boxes alone; set "
            "augment.copy_paste to 0"
        )


def _groups(labelled: LabelledImages, field: str) -> str:
    counts = sorted(labelled.labels.groups.bincount().tolist(), reverse=True)
    if len(counts) == 1:
        return f"data.balance_by: all images have the same {field!r} or none, so all are drawn equally often"
    sizes = _listed(list(map(str, counts)))
    return f"drawn by {field!r}: {len(counts)} groups of {sizes} images, the rare ones more often"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(map(one_line, names[:_NAMES_SHOWN])) + more
