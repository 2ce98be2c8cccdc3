"""The data of a run: what to train on, what to validate on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from maskrcnn.config import Augmentation, Config, DataConfig
from maskrcnn.data.channels import Channels
from maskrcnn.data.coco import LabelledImages, without_classes
from maskrcnn.data.dataset import CocoDataset, Sample
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.large_images import LargeImages
from maskrcnn.data.loader import TrainBatches
from maskrcnn.data.proposals import ProposalStore, read_proposals
from maskrcnn.errors import UserError
from maskrcnn.large.tiling import large_images
from maskrcnn.structures import Categories
from maskrcnn.text import counted
from maskrcnn.training.division import NAMES, Division, find_division
from maskrcnn.training.fingerprint import fingerprint, measured_fingerprint
from maskrcnn.training.labels import read_train, read_val
from maskrcnn.training.pictures import SeenPictures


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
    """The train split, ready to be drawn from, and the val split.

    Attributes:
        dataset: the train split.
        paths: all files.
        val: the val split; None where nothing is evaluated.
        division: how the labels were divided, where they name no splits.
    """

    dataset: CocoDataset
    paths: DataPaths
    val: LabelledImages | None
    division: Division

    @classmethod
    def open(
        cls,
        config: Config,
        say: Callable[[str], None],
        kept: Path = Path("split"),
        content: LabelContent | None = None,
    ) -> TrainingData:
        """Read and check the annotations; `say` gets the report, `kept` is where a run keeps its division.

        `content` is that of `data.root`, where somebody has read it already.

        Raises:
            UserError: files are missing or no annotation files, the splits have other categories, or there is no
                object (no keypoint) to learn from.
        """
        paths = DataPaths.of(config)
        division = find_division(config, kept, say, content)
        labels = division.splits or {"train": paths.train, "val": paths.val}
        train = read_train(labels["train"], paths.images, config, say)
        val = read_val(labels["val"], paths.images, config, train, say) if "val" in labels else None
        if not (division.made or is_division_kept(kept, paths)) and (line := _undivided(config, paths, val)):
            say(line)
        if count := config.train.overfit:
            train = val = replace(train, labels=train.labels.first(count))
            config = replace(config, augment=Augmentation(horizontal_flip=0.0))
            say(f"train.overfit: learning {len(train.labels)} images by heart, unchanged, and measuring on them")
        if (sides := config.augment.min_sizes) and config.input.min_size not in sides:
            say(f"augment.min_sizes: training images get short sides of {sides}, others {config.input.min_size}")
        if unused := _changes_of_colour(config):
            say(f"{', '.join(unused)}: left out, since the channels of these images are not red, green and blue")
        if not config.tells_classes:
            train = without_classes(train)
        proposals = _proposals(train, paths, has_val=val is not None) if config.needs_proposals else None
        semantic, objects = config.semantic_head.enabled, config.finds_objects or config.augment.copy_paste > 0
        large = large_images(config)
        if count := _count_large(train, large, config):
            say(f"{counted(count, 'image')} too large for the network as a whole: seen in crops, at the scale of tiles")
        settings = (config.augment, config.input, config.data.max_pixels)
        dataset = CocoDataset(train, *settings, proposals, semantic, objects, large)
        return cls(dataset, paths, val, division)

    @property
    def categories(self) -> Categories:
        """The classes of both splits."""
        return self.dataset.categories

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """JSON-able facts by which a resumed run recognises its labels."""
        return fingerprint(self.dataset)

    @cached_property
    def measured_on(self) -> int | None:
        """A checksum of the labels of the val split; None without one."""
        return None if self.val is None else measured_fingerprint(self.val)

    @cached_property
    def pictures(self) -> SeenPictures:
        """What `steps` has read so far."""
        return SeenPictures(self.dataset)

    def steps(self, config: Config, start: int, rank: int = 0, world: int = 1) -> Iterator[list[list[Sample]]]:
        """The batches of step `start`, `start` + 1, ... up to the last; each step has `train.accumulate` of them.

        Of `world` ranks each gets its slice of every batch.
        """
        settings = config.train
        first = start * settings.accumulate
        batches = iter(
            TrainBatches(
                self.dataset,
                settings.batch_size // world,
                settings.seed,
                config.data.num_workers,
                first,
                balanced=config.data.balance_by != "",
                rank=rank,
                world=world,
                repeat_threshold=config.data.repeat_threshold,
                note=self.pictures.note,
            )
        )
        for _ in range(start, config.schedule.steps):
            yield list(islice(batches, settings.accumulate))


def is_division_kept(kept: Path, paths: DataPaths) -> bool:
    """Whether a run has divided the labels that it was given and goes on with what lies in the folder `kept`."""
    return (kept / NAMES["train"]).is_file() and not paths.train.is_file()


def _undivided(config: Config, paths: DataPaths, val: LabelledImages | None) -> str:
    """What has become of a part to measure on that was asked for, where nothing is divided."""
    part = config.data.val_fraction
    if part == DataConfig().val_fraction:
        return ""
    left_out = f"--val {part:g} (data.val_fraction): left out, since"
    if val is not None:
        none = "" if part or not paths.val.is_file() else "; to measure on none: --set 'data.val_annotations=\"\"'"
        return f"{left_out} the labels name {counted(len(val.labels), 'image')} to measure on{none}"
    if part and paths.train.is_file():
        return f"{left_out} {paths.train} is for training as it is; to divide it: --data {paths.train}"
    return ""


def _count_large(labelled: LabelledImages, large: LargeImages, config: Config) -> int:
    sizes, counts = np.unique(labelled.labels.image_sizes.numpy(), axis=0, return_counts=True)
    held = [large.hold((height, width), config.input) for height, width in sizes.tolist()]
    return int(counts[held].sum())


def _changes_of_colour(config: Config) -> list[str]:
    """The augmentations that mean nothing without colours."""
    names = () if Channels.of(config.input).rgb else ("grey", "saturation", "hue")
    return [f"augment.{name}" for name in names if getattr(config.augment, name)]


def _proposals(labelled: LabelledImages, paths: DataPaths, has_val: bool) -> ProposalStore:
    """What a model without RPN learns from."""
    for setting, path, needed in (("train", paths.train_proposals, True), ("val", paths.val_proposals, has_val)):
        if needed and (path is None or not path.is_file()):
            raise UserError(
                f"data.{setting}_proposals: expected a file of COCO results with the boxes to look at, since "
                f"rpn.enabled is false; got {path or 'none'}; give one with --proposals"
            )
    assert paths.train_proposals is not None
    labels = labelled.labels
    return read_proposals(paths.train_proposals, labels.file_names, labels.image_ids.tolist())
