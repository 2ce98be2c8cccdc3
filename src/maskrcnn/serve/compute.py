"""The one thread that owns the model: it loads it, and computes pictures one after the other or in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from maskrcnn.data.channels import RGB, Channels
from maskrcnn.prediction import Prediction
from maskrcnn.serve.metrics import Metrics
from maskrcnn.structures import Categories
from maskrcnn.structures.masks import ByteArray

FIRST_GUESS = 0.5
"""Seconds that a picture is said to take before one has been computed."""

_RECENT = 0.2
"""The share of the latest batch in the running mean of seconds per picture."""


class ServedModel(Protocol):
    """What a model must be able to do to be served: one of PyTorch, an exported one, or one of yours.

    Attributes:
        name: for people.
        categories: its classes.
        score_threshold: objects score above it unless a request says otherwise.
    """

    name: str
    categories: Categories

    @property
    def score_threshold(self) -> float: ...

    def predict(self, source: ByteArray, /, *, score_threshold: float | None, max_detections: int | None) -> Prediction:
        """The objects in an (H, W, 3) uint8 RGB picture."""

    def stream(
        self,
        sources: Iterable[ByteArray],
        /,
        *,
        batch_size: int,
        score_threshold: float | None,
        max_detections: int | None,
    ) -> Iterator[Prediction]:
        """The same for several; used only where batches are."""


def channels_of(model: ServedModel) -> Channels:
    """Of the pictures that a model takes: RGB, unless it says otherwise."""
    channels: Channels = getattr(model, "channels", RGB)
    return channels


@dataclass(frozen=True)
class Options:
    """What a request may choose: pictures with the same options can share a batch.

    Attributes:
        score_threshold: objects score above this; None: the model's own.
        max_detections: at most so many objects, the best; None: as the model was trained.
    """

    score_threshold: float | None = None
    max_detections: int | None = None


@dataclass(eq=False)
class _Job:
    image: ByteArray
    options: Options
    arrived: float = field(default_factory=time.perf_counter)
    result: Future[Prediction] = field(default_factory=Future)

    @property
    def kind(self) -> tuple[Options, tuple[int, ...]]:
        """Jobs of a kind share a pass through the network."""
        return self.options, self.image.shape


class ComputeThread:
    """Computes what is submitted, oldest first.

    Args:
        load: makes the model, in this thread.
        max_batch: pictures of a size and with the same options that are computed together.
        metrics: told of each batch.

    Attributes:
        model: resolves to the model when it has been loaded and has proved that it works, or to the error.
        crash: the error that ended the thread; None as long as it runs.
        seconds_per_image: a running mean.
    """

    def __init__(self, load: Callable[[], ServedModel], max_batch: int | None, metrics: Metrics) -> None:
        self.model: Future[ServedModel] = Future()
        self.crash: BaseException | None = None
        self.seconds_per_image = FIRST_GUESS
        self._load, self._max_batch, self._metrics = load, max_batch, metrics
        self._waiting: deque[_Job] = deque()
        self._changed, self._closing = threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="compute", daemon=True)
        self._thread.start()

    @property
    def max_batch(self) -> int:
        """On a CPU batches gain nothing and make the first picture wait."""
        if self._max_batch is not None:
            return self._max_batch
        device = getattr(self.model.result(), "device", "cpu") if self.is_ready else "cpu"
        return 1 if str(device) == "cpu" else 4

    @property
    def is_ready(self) -> bool:
        """Whether the model is there and the thread runs."""
        return self.is_alive and self.model.done() and self.model.exception() is None

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs; it may still be loading."""
        return self.crash is None

    @property
    def num_waiting(self) -> int:
        """Pictures that are submitted and not begun."""
        return len(self._waiting)

    def submit(self, image: ByteArray, options: Options) -> Future[Prediction]:
        """The prediction of an (H, W, 3) uint8 picture, to come; cancelled before its turn, it is not computed."""
        job = _Job(image, options)
        with self._changed:
            if self.crash is not None:
                job.result.set_exception(_ended())
            else:
                self._waiting.append(job)
                self._changed.notify()
        return job.result

    def close(self, timeout: float) -> bool:
        """Finish what is waiting and end the thread; whether it has ended in time."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        batch: list[_Job] = []
        try:
            model = self._loaded()
            if model is not None:
                while batch := self._next_batch():
                    self._compute(model, batch)
        except BaseException as error:  # nobody may wait for a thread that has ended
            with self._changed:
                self.crash = error
                waiting, self._waiting = self._waiting, deque()
            begun = [job for job in batch if job.result.running()]
            _fail([*begun, *(job for job in waiting if job.result.set_running_or_notify_cancel())], _ended())

    def _loaded(self) -> ServedModel | None:
        """The model, after a picture to try it with; None where it cannot be had."""
        try:
            model = self._load()
            blank = np.zeros((64, 64, channels_of(model).count), np.uint8)
            model.predict(blank, score_threshold=None, max_detections=None)
        except BaseException as error:
            self.model.set_exception(error)
            return None
        self.model.set_result(model)
        return model

    def _next_batch(self) -> list[_Job]:
        """The oldest job and others of its kind; waits for one. Empty when all is done."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            kind = self._waiting[0].kind if self._waiting else None
            batch = [job for job in self._waiting if job.kind == kind][: self.max_batch]
            for job in batch:
                self._waiting.remove(job)
            return batch

    def _compute(self, model: ServedModel, batch: list[_Job]) -> None:
        wanted = [job for job in batch if job.result.set_running_or_notify_cancel()]
        if not wanted:
            return
        started = time.perf_counter()
        try:
            found = _predict(model, [job.image for job in wanted], wanted[0].options)
        except Exception as error:  # of these pictures; the thread goes on
            return _fail(wanted, error)
        seconds = time.perf_counter() - started
        self._metrics.computed([started - job.arrived for job in wanted], seconds, sum(map(len, found)))
        self.seconds_per_image += _RECENT * (seconds / len(wanted) - self.seconds_per_image)
        for job, prediction in zip(wanted, found, strict=True):
            job.result.set_result(prediction)


def _fail(jobs: Iterable[_Job], error: Exception) -> None:
    for job in jobs:
        job.result.set_exception(error)


def _ended() -> RuntimeError:
    return RuntimeError("the compute thread has ended")


def _predict(model: ServedModel, images: list[ByteArray], options: Options) -> list[Prediction]:
    threshold, most = options.score_threshold, options.max_detections
    if len(images) == 1:
        return [model.predict(images[0], score_threshold=threshold, max_detections=most)]
    in_order = (image for image in images)  # a list would be read ahead by a further thread
    return list(model.stream(in_order, batch_size=len(images), score_threshold=threshold, max_detections=most))
