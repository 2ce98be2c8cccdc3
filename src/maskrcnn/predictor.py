"""The verbs of a model that is ready for images, whatever computes: a network, or a graph exported from one."""

from __future__ import annotations

import math
import reprlib
from abc import abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np

from maskrcnn.config import Config
from maskrcnn.data.channels import Channels
from maskrcnn.data.given_boxes import paired
from maskrcnn.errors import UserError
from maskrcnn.large.prediction import Predict, PredictsLarge
from maskrcnn.large.shrinking import lost_scale, warned
from maskrcnn.pipeline import ahead
from maskrcnn.prediction import Prediction
from maskrcnn.sources import Source, kept_source, several_sources
from maskrcnn.structures import Categories, Size
from maskrcnn.text import one_line

if TYPE_CHECKING:
    from torch import Tensor

    from maskrcnn.structures.masks import Float32Array

Image = TypeVar("Image")
"""An image as it is computed with."""

_DEFAULT_THRESHOLD = 0.5
"""Of models that were never measured on validation images."""


class Predictor(PredictsLarge, Generic[Image]):
    """A model and its classes, ready for images.

    Attributes:
        categories: its classes.
        config: its settings.
        summary: facts about its training.
        name: for people.
    """

    categories: Categories
    config: Config
    summary: dict[str, Any]
    name: str

    @property
    @abstractmethod
    def branches(self) -> Collection[str]:
        """What it tells beside classes and boxes, by sections of the settings: "mask_head", "semantic_head", ..."""

    @property
    def channels(self) -> Channels:
        """Of its images, and which of them are drawn."""
        return Channels.of(self.config.input)

    @property
    @abstractmethod
    def place(self) -> str:
        """What computes, for people."""

    @property
    def score_threshold(self) -> float:
        """Objects score above this unless another threshold is asked for."""
        return own_score_threshold(self.summary)

    def __repr__(self) -> str:
        classes = ", ".join(map(one_line, self.categories.names[:10])) + (", ..." if len(self.categories) > 10 else "")
        return f"{type(self).__name__}({self.name} on {self.place}, {len(self.categories)} classes: {classes})"

    @overload
    def predict(
        self,
        source: list[Any] | tuple[Any, ...] | Generator[Source, None, None],
        score_threshold: float | None = ...,
        max_detections: int | None = ...,
        proposals: Sequence[Tensor | Float32Array] | None = ...,
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        source: Source,
        score_threshold: float | None = ...,
        max_detections: int | None = ...,
        proposals: Tensor | Float32Array | None = ...,
    ) -> Prediction: ...

    def predict(
        self,
        source: Source | Iterable[Source],
        score_threshold: float | None = None,
        max_detections: int | None = None,
        proposals: Tensor | Float32Array | Sequence[Tensor | Float32Array] | None = None,
    ) -> Prediction | list[Prediction]:
        """Find the objects in an image, or in each of several images.

        Each goes through the network as a whole. Where that makes it so small that objects are lost, a warning
        (`ShrunkImage`) says so once a call: `predict_large` sees it in tiles, as the command `predict` does; a model
        that tells the class of every pixel cannot.

        Args:
            source: a file, its bytes, an open binary file, a Pillow image, an (H, W, 3) uint8 array or a (3, H, W)
                tensor, RGB as a rule; see `sources.Source`. A list of these, a tuple, a generator, a folder or a
                pattern such as "cells/*.png" gives a list of predictions.
            score_threshold: only objects with a higher score; may lie below the one the model was trained with. None:
                the model's own, see `score_threshold`.
            max_detections: at most this many objects per image, the best; None: as the model was trained.
            proposals: for a model without RPN (Fast R-CNN): boxes (P, 4) x1, y1, x2, y2 in the pixels of the image, or
                a list of these for several images.

        Raises:
            UserError: an image that cannot be read; a threshold or a number that makes no sense; a model without RPN
                and without `proposals`; those of more or fewer images.
        """
        several = several_sources(source)
        if several is None:
            own: Any = None if proposals is None else [proposals]
            return next(self.stream((source,), 1, score_threshold, max_detections, proposals=own))  # type: ignore[arg-type]
        if proposals is None:
            return list(self.stream(several, 1, score_threshold, max_detections))
        return list(self.stream(list(several), 1, score_threshold, max_detections, proposals=list(proposals)))

    def stream(
        self,
        sources: Source | Iterable[Source],
        batch_size: int = 1,
        score_threshold: float | None = None,
        max_detections: int | None = None,
        on_error: Callable[[Source, UserError], None] | None = None,
        proposals: Iterable[Tensor | Float32Array] | None = None,
    ) -> Iterator[Prediction]:
        """Predictions one after the other, however many images there are; memory stays that of one batch.

        Args:
            sources: images as for `predict`. Those of a list, a tuple, a folder or a pattern are read a little ahead,
                while the network works; from any other iterable, such as a camera's, they are taken only when their
                turn comes.
            batch_size: images read together; those that need the same size share a pass through the network.
            score_threshold: as for `predict`.
            max_detections: as for `predict`.
            on_error: called for an image that cannot be read, which is then left out; None: the error is raised.
            proposals: as for `predict`, one for each source.

        Raises:
            UserError: as `predict`; of sources or proposals whose number is not known beforehand, when they end.
        """
        return warned(self._checked(sources, batch_size, score_threshold, max_detections, on_error, proposals))

    def _tiles(self, batch_size: int, score_threshold: float | None, max_detections: int | None) -> Predict:
        """Without a warning: a tile that shrinks is as large as somebody wanted it."""
        return lambda pictures: self._checked(pictures, batch_size, score_threshold, max_detections, None, None)

    def _checked(
        self,
        sources: Source | Iterable[Source],
        batch_size: int,
        score_threshold: float | None,
        max_detections: int | None,
        on_error: Callable[[Source, UserError], None] | None,
        proposals: Iterable[Tensor | Float32Array] | None,
    ) -> Iterator[Prediction]:
        check_number("batch_size", batch_size, int, 1)
        threshold = self.score_threshold if score_threshold is None else score_threshold
        check_number("score_threshold", threshold, float, 0, 1)
        if max_detections is not None:
            check_number("max_detections", max_detections, int, 1)
        several = several_sources(sources)
        listed: Iterable[Source] = [sources] if several is None else several  # type: ignore[list-item]
        pairs = zip(listed, repeat(None), strict=False) if proposals is None else paired(listed, proposals)
        images = self._readable(pairs, on_error, early=isinstance(listed, list))
        return self._stream(images, batch_size, threshold, max_detections, with_proposals=proposals is not None)

    def _stream(
        self,
        images: Iterator[tuple[Source, Image, Any]],
        batch_size: int,
        score_threshold: float,
        max_detections: int | None,
        with_proposals: bool,
    ) -> Iterator[Prediction]:
        while batch := list(islice(images, batch_size)):
            for prediction in self._predict_batch(batch, with_proposals, score_threshold, max_detections):
                noted = self._with_losses(prediction, max_detections)
                yield self._without_stuff(noted).without_covered(self.config.mask_head.max_overlap)

    def _with_losses(self, prediction: Prediction, max_detections: int | None) -> Prediction:
        """Noted what may be missing. An RPN alone always gives as many objects as it may."""
        settings = self.config.box_head
        reached = settings.enabled and len(prediction) >= (max_detections or settings.max_detections)
        shrunk = lost_scale(prediction.image_size, self.config)
        return replace(prediction, limited=int(reached), shrunk=shrunk) if reached or shrunk else prediction

    def _without_stuff(self, prediction: Prediction) -> Prediction:
        """Stuff has no objects, whatever the box head says of it."""
        stuff = sorted(self.categories.stuff)
        return prediction[~np.isin(prediction.labels, stuff)] if stuff else prediction

    def _predict_batch(
        self,
        batch: Sequence[tuple[Source, Image, Any]],
        with_proposals: bool,
        score_threshold: float,
        max_detections: int | None,
    ) -> list[Prediction]:
        """One pass for all images of a size: padded to a common size, unlike ones would cost more than one by one."""
        passes: dict[Size, list[int]] = {}
        for number, (_, image, _) in enumerate(batch):
            passes.setdefault(self._padded_size(image), []).append(number)
        found: dict[int, Prediction] = {}
        for numbers in passes.values():
            sources, images, boxes = zip(*(batch[number] for number in numbers), strict=True)
            given = boxes if with_proposals else None
            found.update(
                zip(numbers, self.predict_pass(images, sources, given, score_threshold, max_detections), strict=True)
            )
        return [found[number] for number in range(len(batch))]

    @abstractmethod
    def _read(self, source: Source) -> Image:
        """An image, or a `UserError`."""

    @abstractmethod
    def _padded_size(self, image: Image) -> Size:
        """(height, width) of the network's input for an image alone."""

    @abstractmethod
    def predict_pass(
        self,
        images: Sequence[Image],
        sources: Sequence[Source],
        proposals: Sequence[Any] | None,
        score_threshold: float,
        max_detections: int | None,
    ) -> list[Prediction]:
        """What is found in images that are padded to one size, in one pass; `stream` brings those of a size together.

        Args:
            images: as they are computed with.
            sources: what they came from, for the results.
            proposals: as for `predict`, of each image.
            score_threshold: as for `predict`.
            max_detections: as for `predict`.
        """

    def _readable(
        self,
        pairs: Iterable[tuple[Source, Any]],
        on_error: Callable[[Source, UserError], None] | None,
        early: bool,
    ) -> Iterator[tuple[Source, Image, Any]]:
        """Each source with its image and its proposals."""
        read = ((*self._try_to_read(source), boxes) for source, boxes in pairs)
        for source, image, boxes in ahead(read) if early else read:
            if not isinstance(image, UserError):
                yield source, image, boxes
            elif on_error is None:
                raise image
            else:
                on_error(source, image)

    def _try_to_read(self, source: Source) -> tuple[Source, Image | UserError]:
        try:
            source = kept_source(source)
            return source, self._read(source)
        except UserError as error:
            return source, error


def own_score_threshold(summary: Mapping[str, Any]) -> float:
    """Where a model had its best F1 on its validation images, by the facts about its training; else 0.5."""
    threshold = summary.get("score_threshold")
    return threshold if isinstance(threshold, float) and 0 <= threshold <= 1 else _DEFAULT_THRESHOLD


def check_number(name: str, value: object, kind: type[int] | type[float], low: float, high: float = math.inf) -> None:
    """A `UserError` unless a value is a number of this kind from `low` to `high`."""
    kinds = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:  # type: ignore[operator]
        what = "a whole number" if kind is int else "a number"
        limits = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise UserError(f"{name}: expected {what} {limits}, got {reprlib.repr(value)}")
