"""The data of a run: what to train on, what to validate on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from maskrcnn.config import Config
from maskrcnn.data.coco import LabelledImages, read_coco, without_classes
from maskrcnn.data.dataset import CocoDataset, Sample
from maskrcnn.data.loader import TrainBatches
from maskrcnn.data.proposals import ProposalStore, read_proposals
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.structures import Categories


@dataclass(frozen=True)
class DataPaths:
    """The files of a data directory."""

    train: Path
    val: Path
    images: Path
    train_proposals: Path | None = None
    val_proposals: Path | None = None

    @classmethod
    def of(cls, config: Config) -> DataPaths:
        """What the settings point at; absolute names stand for themselves."""
        data, root = config.data, Path(config.data.root)
        proposals = [root / name if name else None for name in (data.train_proposals, data.val_proposals)]
        return cls(root / data.train_annotations, root / data.val_annotations, root / data.images, *proposals)


@dataclass(frozen=True)
class TrainingData:
    """The train split, ready to be read, and the files of the val split.

    Attributes:
        dataset: the train split.
        paths: all files.
        has_val: whether there is a val split.
    """

    dataset: CocoDataset
    paths: DataPaths
    has_val: bool

    @classmethod
    def open(cls, config: Config, say: Callable[[str], None]) -> TrainingData:
        """Read and check the annotations; `say` gets the report.

        Raises:
            UserError: files are missing or no annotation files, the splits have other categories, or there is no
                object (no keypoint) to learn from.
        """
        paths = DataPaths.of(config)
        labelled = read_coco(
            paths.train,
            paths.images,
            check_files=True,
            max_pixels=config.data.max_pixels,
            group_by=config.data.balance_by,
            need_masks=config.mask_head.enabled,
        )
        for line in labelled.report.summary():
            say(line)
        if (sides := config.augment.min_sizes) and config.input.min_size not in sides:
            say(f"augment.min_sizes: training images get short sides of {sides}, others {config.input.min_size}")
        _require_objects(labelled, paths.train)
        if config.keypoint_head.enabled:
            _require_keypoints(labelled, paths.train)
        if config.data.balance_by:
            say(_kinds(labelled, config.data.balance_by))
        has_val = paths.val.is_file()
        if has_val:
            _check_val(labelled.categories, paths, config, say)
        else:
            say(f"{paths.val}: no such file, so nothing is evaluated")
        if not config.box_head.enabled:
            labelled = without_classes(labelled)
        proposals = _proposals(labelled, paths, has_val) if not config.rpn.enabled else None
        dataset = CocoDataset(labelled, config.augment, config.input, config.data.max_pixels, proposals)
        return cls(dataset, paths, has_val)

    @property
    def categories(self) -> Categories:
        """The classes of both splits."""
        return self.dataset.categories

    @property
    def fingerprint(self) -> dict[str, Any]:
        """JSON-able facts by which a resumed run knows its training data again."""
        labels = self.dataset.labels
        keypoints = {"keypoints": zlib.crc32(labels.keypoints.numpy().data)} if len(labels.keypoints) else {}
        return {
            "categories": self.categories.to_coco(),
            "images": len(labels),
            "objects": labels.num_objects,
            "file names": zlib.crc32(labels.names.numpy().data),
            "boxes": zlib.crc32(labels.boxes.numpy().data),
            "kinds of images": zlib.crc32(labels.groups.numpy().data),
            **keypoints,
        }

    def steps(self, config: Config, start: int) -> Iterator[list[list[Sample]]]:
        """The batches of step `start`, `start` + 1, ... up to the last; each step has `train.accumulate` of them."""
        settings = config.train
        first = start * settings.accumulate
        batches = iter(
            TrainBatches(
                self.dataset,
                settings.batch_size,
                settings.seed,
                config.data.num_workers,
                first,
                balanced=config.data.balance_by != "",
            )
        )
        for _ in range(start, config.schedule.steps):
            yield list(islice(batches, settings.accumulate))


def _proposals(labelled: LabelledImages, paths: DataPaths, has_val: bool) -> ProposalStore:
    """What a model without RPN learns from."""
    for setting, path, needed in (("train", paths.train_proposals, True), ("val", paths.val_proposals, has_val)):
        if needed and (path is None or not path.is_file()):
            raise UserError(
                f"data.{setting}_proposals: expected a file of COCO results with the boxes to look at, since "
                f"rpn.enabled is false; got {path or 'none'}"
            )
    assert paths.train_proposals is not None
    labels = labelled.labels
    return read_proposals(paths.train_proposals, labels.file_names, labels.image_ids.tolist())


def _require_objects(labelled: LabelledImages, path: Path) -> None:
    if labelled.report.num_objects:
        return
    if boxes_alone := labelled.report.counts[Fault.MASK_UNUSABLE]:
        raise UserError(
            f"{path}: expected objects with masks (segmentation), which the mask branch learns from, got {boxes_alone} "
            "with boxes alone; add masks, or train without the branch: --set mask_head.enabled=false"
        )
    raise UserError(f"{path}: expected annotated objects to learn from, got none; check the annotations")


def _require_keypoints(labelled: LabelledImages, path: Path) -> None:
    schemas = [schema for schema in labelled.categories.schemas if schema is not None]
    if schemas and labelled.categories.keypoints is None:
        raise UserError(
            f"{path}: expected the same keypoints for all categories that have any, got {len(schemas)} unlike lists; "
            "train one model for each, or set keypoint_head.enabled to false"
        )
    if not len(labelled.labels.keypoints):
        got = "no labelled keypoint" if schemas else "categories without keypoints"
        raise UserError(f"{path}: expected keypoints to learn, got {got}; set keypoint_head.enabled to false")


def _kinds(labelled: LabelledImages, field: str) -> str:
    counts = sorted(labelled.labels.groups.bincount().tolist(), reverse=True)
    if len(counts) == 1:
        return f"data.balance_by: all images have the same {field!r} or none, so all are drawn equally often"
    return f"drawn by {field!r}: {len(counts)} kinds of {', '.join(map(str, counts))} images, the rare ones more often"


def _check_val(train: Categories, paths: DataPaths, config: Config, say: Callable[[str], None]) -> None:
    """Find out now, not after hours of training, what would keep the val split from being used."""
    val = read_coco(paths.val, paths.images, max_pixels=config.data.max_pixels).categories
    if not set(val.names) & set(train.names):
        raise UserError(
            f"{paths.val}: expected the categories of {paths.train} ({', '.join(train.names)}), "
            f"got {', '.join(val.names)}; use the same names in both files"
        )
    if config.keypoint_head.enabled and val.keypoints != train.keypoints:
        say(f"{paths.val}: its categories have other keypoints, so these are not evaluated")
    for name in sorted(set(val.names) ^ set(train.names)):
        say(f"{paths.val}: category {name!r} is in one of the two splits only")
