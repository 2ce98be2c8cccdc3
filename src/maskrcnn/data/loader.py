"""TrainBatches: endless batches of training samples, read ahead by worker processes."""

from __future__ import annotations

import itertools
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from maskrcnn.data.batches import BatchPlan, Partners, balanced_repeats, repeat_factors
from maskrcnn.data.content import Content, content_of
from maskrcnn.data.copy_paste import paste
from maskrcnn.data.dataset import CocoDataset, Sample
from maskrcnn.errors import UserError

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 100
"""Training gives up when this many images in a row are unreadable."""

_PASTING, _PARTNER = 1, 2
"""Ends of seeds: of what is pasted on an image, and of how the other one is changed."""


@dataclass(frozen=True)
class Draw:
    """An image and the seed of its changes."""

    index: int
    seed: tuple[int, ...]


@dataclass(frozen=True)
class DrawnSample:
    """A sample, and what is wrong with the images that were tried before it; no sample if that was all of them.

    Attributes:
        sample: the image that could be read.
        complaints: a line for each that could not.
        index: of the sample.
        contents: of the files of images that this process reads for the first time, by number, where they are to be
            noted.
    """

    sample: Sample | None
    complaints: tuple[str, ...]
    index: int = 0
    contents: Mapping[int, Content] = field(default_factory=dict)


class TrainBatches:
    """Batches `start`, `start + 1`, ... of an endless sequence; iterating again begins at `start` again.

    Batch number k is a function of (seed, k): the same for any number of workers, and wherever one starts. Of several
    ranks each gets its slice of the batch that one process with the images of all would get, changed in the same way.
    An image that cannot be read is replaced by the next one that can, and named in the log, once.

    Args:
        dataset: where the samples come from; not empty.
        batch_size: samples per batch and rank.
        seed: of the shuffles and of every sample's changes, 0 or more.
        num_workers: processes that read ahead, at most one for each CPU; 0: read when asked for.
        start: number of the first batch.
        balanced: draw rare groups of images (`LabelStore.groups`) more often, see `balanced_repeats`.
        repeat_threshold: draw images of rare classes more often, see `repeat_factors`; 0: not.
        rank: of this process, 0 to `world` - 1.
        world: how many processes share each batch.
        note: told the number of an image and what its file held, when a sample of it is handed out for the first time.

    Raises:
        UserError: while iterating, when `MAX_ATTEMPTS` images in a row, or all, cannot be read.
    """

    def __init__(
        self,
        dataset: CocoDataset,
        batch_size: int,
        seed: int,
        num_workers: int = 0,
        start: int = 0,
        *,
        balanced: bool = False,
        repeat_threshold: float = 0.0,
        rank: int = 0,
        world: int = 1,
        note: Callable[[int, Content], object] | None = None,
    ) -> None:
        labels = dataset.labels
        heights, widths = labels.image_sizes.numpy().T
        repeats = balanced_repeats(labels.groups.numpy()) if balanced else None
        if repeat_threshold:
            own = repeat_factors(labels, repeat_threshold) * (1 if repeats is None else repeats)
            repeats = own * (len(own) / own.sum())
        self.plan = BatchPlan(heights > widths, batch_size * world, seed, repeats)
        self._partners = Partners(labels, repeats) if dataset.augmentation.copy_paste else None
        self._slots = range(rank * batch_size, (rank + 1) * batch_size)
        self._dataset = dataset
        self._seed = seed
        self._num_workers = num_workers
        self._start = start
        self._note = note
        self._reported: set[str] = set()

    def __iter__(self) -> Iterator[list[Sample]]:
        loader = DataLoader(
            _DrawnSamples(self._dataset, self._partners, with_content=self._note is not None),
            batch_sampler=self._draws(),  # type: ignore[arg-type]
            num_workers=min(self._num_workers, usable_cpus()),
            collate_fn=list,
            worker_init_fn=_set_up_worker,
            generator=torch.Generator(),  # the default would advance torch's global generator
        )
        for batch in loader:
            yield [self._checked(drawn) for drawn in batch]

    def _draws(self) -> Iterator[list[Draw]]:
        for number in itertools.count(self._start):
            indices = self.plan.batch(number)
            yield [Draw(indices[slot], (self._seed, number, slot)) for slot in self._slots]

    def _checked(self, drawn: DrawnSample) -> Sample:
        if drawn.sample is None:
            raise UserError(
                f"expected images to train on, but {len(drawn.complaints)} in a row cannot be used; "
                f"the first: {drawn.complaints[0]}"
            )
        for complaint in drawn.complaints:
            if complaint not in self._reported:
                self._reported.add(complaint)
                logger.warning("%s (another image takes its place)", complaint)
        if self._note is not None:
            for index, content in drawn.contents.items():
                self._note(index, content)
        return drawn.sample


def usable_cpus() -> int:
    """CPUs this process may use: of a container or a batch job, often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _DrawnSamples(Dataset[DrawnSample]):
    """Samples by draw; failures are values, since torch would wrap an exception of a worker in its traceback."""

    def __init__(self, dataset: CocoDataset, partners: Partners | None, with_content: bool) -> None:
        self._dataset = dataset
        self._partners = partners
        self._is_wanted = bytearray([with_content]) * len(dataset)  # the content of an image's file

    def __getitem__(self, draw: Draw) -> DrawnSample:
        drawn = self._readable(draw)
        return drawn if self._partners is None else self._with_pasted(drawn, draw.seed, self._partners)

    def _with_pasted(self, drawn: DrawnSample, seed: tuple[int, ...], partners: Partners) -> DrawnSample:
        """With objects of another image, drawn for itself: what is below them is as it were without."""
        augmentation, generator = self._dataset.augmentation, np.random.default_rng((*seed, _PASTING))
        if drawn.sample is None or generator.random() >= augmentation.copy_paste:
            return drawn
        partner = partners.draw(drawn.index, generator)
        if partner is None:
            return drawn
        other = self._readable(Draw(partner, (*seed, _PARTNER)))
        sample = None if other.sample is None else paste(drawn.sample, other.sample, augmentation, generator)
        complaints, contents = drawn.complaints + other.complaints, {**drawn.contents, **other.contents}
        return replace(drawn, sample=sample, complaints=complaints, contents=contents)

    def _readable(self, draw: Draw) -> DrawnSample:
        """The first image that can be read, from the drawn one on."""
        complaints: list[str] = []
        for attempt in range(min(MAX_ATTEMPTS, len(self._dataset))):
            index = (draw.index + attempt) % len(self._dataset)
            try:
                sample = self._dataset.sample(index, np.random.default_rng(draw.seed))
                return DrawnSample(sample, tuple(complaints), index, self._contents(index))
            except UserError as error:
                complaints.append(str(error))
        return DrawnSample(None, tuple(complaints))

    def _contents(self, index: int) -> dict[int, Content]:
        """Read once more, from the system's cache, but only once by each process."""
        if not self._is_wanted[index]:
            return {}
        self._is_wanted[index] = False
        try:
            return {index: content_of(self._dataset.path(index))}
        except OSError:  # gone since it was decoded
            return {}


def _set_up_worker(worker_id: int) -> None:
    """A worker is one of many, so it has one thread; and it ends when its parent does, neither later nor earlier.

    Signals may go to all processes of a job. If one killed a worker, torch would stop the parent in the middle of
    the step that it wants to finish. When there is nothing more to read, or no parent, torch's workers end themselves.
    """
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    signal.set_wakeup_fd(-1)  # a forked worker has its parent's
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
