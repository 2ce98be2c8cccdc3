"""From a picture's bytes to an answer: admission, decoding, the compute thread, encoding, each within its bounds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import PurePath
from typing import TypeVar

from maskrcnn.data.channels import Channels
from maskrcnn.prediction import Prediction
from maskrcnn.serve.compute import ComputeThread, Options, ServedModel, channels_of
from maskrcnn.serve.metrics import Metrics
from maskrcnn.serve.problems import Problem
from maskrcnn.serve.settings import ServeSettings
from maskrcnn.structures.masks import ByteArray

T = TypeVar("T")

_DECODERS = 2
"""Threads that decode pictures and encode answers while the network computes."""

_SPARE = 2
"""Decoded pictures beside those of a batch: one waits for its turn, one becomes an answer. All others stay files."""


class Service:
    """A model with the bounds of a server.

    Args:
        load: makes the model, in the compute thread.
        settings: the bounds.

    Attributes:
        draining: the server is about to end; nothing changes but that it says so.
        admitted: requests that were let in and have no answer yet.
        total: requests let in so far.
    """

    def __init__(self, load: Callable[[], ServedModel], settings: ServeSettings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.compute = ComputeThread(load, settings.max_batch, self.metrics)
        self.draining, self.admitted, self.total = False, 0, 0
        self._pool = ThreadPoolExecutor(_DECODERS, "pictures")
        self.metrics.watch(lambda: self.admitted)

    @property
    def is_ready(self) -> bool:
        """Whether load balancers should send requests here."""
        return self.compute.is_ready and not self.draining

    @property
    def model(self) -> ServedModel:
        """Once it has been loaded; a `Problem` before."""
        if not self.compute.is_ready:
            raise Problem(503, "the model is not ready; try again soon", {"Retry-After": "1"})
        return self.compute.model.result()

    @property
    def channels(self) -> Channels:
        """Of the pictures that the model takes."""
        return channels_of(self.model)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the model."""
        return self.model.categories.names

    @property
    def name(self) -> str:
        """Of the model, for clients: without the folders of its file."""
        return PurePath(self.model.name).stem

    @cached_property
    def _decoded(self) -> asyncio.Semaphore:
        """Places for decoded pictures; how many goes together, the loaded model decides."""
        return asyncio.Semaphore(self.compute.max_batch + _SPARE)

    @contextmanager
    def admission(self) -> Iterator[None]:
        """A place in the queue, before the body is read; a `Problem` where there is none."""
        if not self.compute.is_ready:
            self.metrics.rejected("not ready")
        _ = self.model
        if self.admitted >= self.settings.max_queue + self.compute.max_batch:
            self.metrics.rejected("full")
            raise Problem(429, "the queue is full; try again after the seconds of Retry-After", self._retry_after())
        self.admitted += 1
        self.total += 1
        try:
            yield
        finally:
            self.admitted -= 1

    async def answer(self, picture: Callable[[], ByteArray], options: Options, encode: Callable[[Prediction], T]) -> T:
        """Decode, compute, encode. Cancelled, it ends as soon as the step at hand allows.

        Args:
            picture: gives the (H, W, 3) uint8 pixels; called in a thread.
            options: of the prediction.
            encode: makes the answer; called in a thread.

        Raises:
            Problem: 503, not done within `settings.timeout`; and what the two functions raise.
        """
        try:
            async with asyncio.timeout(self.settings.timeout), self._decoded:
                image = await self.in_thread(picture)
                prediction = await asyncio.wrap_future(self.compute.submit(image, options))
                return await self.in_thread(lambda: encode(prediction))
        except TimeoutError:
            self.metrics.rejected("too late")
            limit = f"{self.settings.timeout:g} s"
            raise Problem(
                503, f"no answer within {limit}; try again, or a smaller picture", self._retry_after()
            ) from None

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Call it beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    def close(self) -> bool:
        """End all threads; False where the model still computes after `settings.timeout`."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        return self.compute.close(self.settings.timeout)

    def _retry_after(self) -> dict[str, str]:
        """When those that are waiting now should be done."""
        return {"Retry-After": str(max(1, math.ceil(self.admitted * self.compute.seconds_per_image)))}
