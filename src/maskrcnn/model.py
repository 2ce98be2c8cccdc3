"""A trained network and its classes, ready for images.

>>> model = maskrcnn.load("nuclei")
>>> prediction = model.predict("cells.png")
>>> prediction.save("overlay.png")
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from copy import deepcopy
from itertools import islice, repeat
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from maskrcnn.acceleration import for_prediction, prepared_for
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.large.prediction import PredictsLarge
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.pipeline import ahead
from maskrcnn.prediction import Prediction
from maskrcnn.sources import Source, kept_source, read_source, several_sources
from maskrcnn.structures import Categories, Detections, Size
from maskrcnn.text import one_line


class Model(PredictsLarge):
    """A trained network and its classes, ready for images.

    Args:
        network: the weights. It stays as it is, and can be trained further: a copy of it is made ready for prediction,
            unless it is that already (`acceleration.for_prediction`).
        categories: its classes.
        config: its settings.
        device: as `torch.device` names it.
        summary: what its training had to say.
        name: for people; the backbone's if empty.
        precision: what convolutions and matrix products compute in.
        accelerate: False: predict with `network` itself, moved to `device` and put into eval mode.
    """

    def __init__(
        self,
        network: MaskRCNN,
        categories: Categories,
        config: Config,
        device: torch.device | str = "cpu",
        summary: dict[str, Any] | None = None,
        name: str = "",
        precision: torch.dtype = torch.float32,
        *,
        accelerate: bool = True,
    ) -> None:
        self.device = torch.device(device)
        if accelerate:
            own = network if prepared_for(network) == "prediction" else deepcopy(network)
            network = for_prediction(own, self.device, precision)
        self.network = network.to(self.device).eval()
        self.categories = categories
        self.config = config
        self.summary = summary or {}
        self.name = name or config.backbone.name
        self.precision = precision

    def __repr__(self) -> str:
        classes = ", ".join(map(one_line, self.categories.names[:10])) + (", ..." if len(self.categories) > 10 else "")
        return f"Model({self.name} on {self.device}, {len(self.categories)} classes: {classes})"

    @overload
    def predict(
        self,
        source: list[Any] | tuple[Any, ...] | Generator[Source, None, None],
        score_threshold: float = ...,
        max_detections: int | None = ...,
        proposals: Sequence[Tensor] | None = ...,
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        source: Source,
        score_threshold: float = ...,
        max_detections: int | None = ...,
        proposals: Tensor | None = ...,
    ) -> Prediction: ...

    def predict(
        self,
        source: Source | Iterable[Source],
        score_threshold: float = 0.5,
        max_detections: int | None = None,
        proposals: Tensor | Sequence[Tensor] | None = None,
    ) -> Prediction | list[Prediction]:
        """Find the objects in an image, or in each of several images.

        Args:
            source: a file, its bytes, an open binary file, a Pillow image, an (H, W, 3) uint8 array or a (3, H, W)
                tensor, RGB; see `sources.Source`. A list of these, a tuple, a generator, a folder or a pattern such as
                "cells/*.png" gives a list of predictions.
            score_threshold: only objects with a higher score; may lie below the one the model was trained with.
            max_detections: at most this many objects per image, the best; None: as the model was trained.
            proposals: for a model without RPN (Fast R-CNN): boxes (P, 4) x1, y1, x2, y2 in the pixels of the image, or
                a list of these for several images.

        Raises:
            UserError: an image that cannot be read; a threshold or a number that makes no sense; a model without RPN
                and without `proposals`; those of more or fewer images.
        """
        several = several_sources(source)
        if several is None:
            own = None if proposals is None else [torch.as_tensor(proposals)]
            return next(self.stream((source,), 1, score_threshold, max_detections, proposals=own))  # type: ignore[arg-type]
        if proposals is None:
            return list(self.stream(several, 1, score_threshold, max_detections))
        images, boxes = list(several), list(proposals)
        if len(boxes) != len(images):
            raise UserError(f"proposals: expected boxes for each of {len(images)} images, got those of {len(boxes)}")
        return list(self.stream(images, 1, score_threshold, max_detections, proposals=boxes))

    def stream(
        self,
        sources: Source | Iterable[Source],
        batch_size: int = 1,
        score_threshold: float = 0.5,
        max_detections: int | None = None,
        on_error: Callable[[Source, UserError], None] | None = None,
        proposals: Iterable[Tensor] | None = None,
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
        """
        _check_number("batch_size", batch_size, int, 1)
        _check_number("score_threshold", score_threshold, float, 0, 1)
        if max_detections is not None:
            _check_number("max_detections", max_detections, int, 1)
        several = several_sources(sources)
        listed: Iterable[Source] = [sources] if several is None else several  # type: ignore[list-item]
        return self._stream(listed, batch_size, score_threshold, max_detections, on_error, proposals)

    def _stream(
        self,
        sources: Iterable[Source],
        batch_size: int,
        score_threshold: float,
        max_detections: int | None,
        on_error: Callable[[Source, UserError], None] | None,
        proposals: Iterable[Tensor] | None,
    ) -> Iterator[Prediction]:
        images = _readable(sources, on_error, repeat(None) if proposals is None else proposals)
        while batch := list(islice(images, batch_size)):
            boxes = None if proposals is None else [boxes for _, _, boxes in batch if boxes is not None]
            found = self._detect([image for _, image, _ in batch], boxes, score_threshold, max_detections)
            for (source, _, _), detections in zip(batch, found, strict=True):
                yield self._prediction(detections, source).without_covered(self.config.mask_head.max_overlap)

    @torch.inference_mode()
    def _detect(
        self,
        images: Sequence[Tensor],
        proposals: Sequence[Tensor] | None,
        score_threshold: float,
        max_detections: int | None,
    ) -> list[Detections]:
        """One pass for all images of a size: padded to a common size, unlike ones would cost more than one by one."""
        passes: dict[Size, list[int]] = {}
        for number, image in enumerate(images):
            passes.setdefault(self.network.preprocess.padded_size(image), []).append(number)
        found: dict[int, Detections] = {}
        for numbers in passes.values():
            with self._autocast():
                detections = self.network.predict(
                    [images[number].to(self.device) for number in numbers],
                    proposals=None if proposals is None else [proposals[number] for number in numbers],
                    score_threshold=score_threshold,
                    max_detections=max_detections,
                )
            found.update(zip(numbers, detections, strict=True))
        return [found[number] for number in range(len(images))]

    def _autocast(self) -> torch.autocast:
        """Without its cache of weights, which would not outlive the pass that a CUDA graph is recorded in."""
        enabled = self.precision != torch.float32
        return torch.autocast(self.device.type, self.precision if enabled else None, enabled, cache_enabled=False)

    def _prediction(self, found: Detections, source: Source) -> Prediction:
        """What was found, as arrays and with names; stuff has no objects, whatever the box head says of it."""
        prediction = Prediction(
            boxes=_array(found.boxes),
            scores=_array(found.scores),
            labels=_array(found.labels),
            image_size=found.image_size,
            categories=self.categories,
            source=source,
            mask_probs=None if found.mask_probs is None else _array(found.mask_probs),
            keypoints=None if found.keypoints is None else _array(found.keypoints),
            paste=self.config.mask_head.paste,
            mask_threshold=self.config.mask_head.threshold,
            semantic=None if found.semantic is None else _array(found.semantic),
        )
        stuff = sorted(self.categories.stuff)
        return prediction[~np.isin(prediction.labels, stuff)] if stuff else prediction


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    """A copy, so that the batch it is a part of can go; numbers of half precision become float32."""
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy().copy()


def _check_number(name: str, value: object, kind: type[int] | type[float], low: float, high: float = math.inf) -> None:
    kinds = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:  # type: ignore[operator]
        what = "a whole number" if kind is int else "a number"
        limits = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise UserError(f"{name}: expected {what} {limits}, got {reprlib.repr(value)}")


def _readable(
    sources: Iterable[Source],
    on_error: Callable[[Source, UserError], None] | None,
    proposals: Iterable[Tensor | None],
) -> Iterator[tuple[Source, Tensor, Tensor | None]]:
    """Each source with its (3, H, W) image and its proposals."""
    read = ((*_try_to_read(source), boxes) for source, boxes in zip(sources, proposals, strict=False))
    for source, image, boxes in ahead(read) if isinstance(sources, list) else read:
        if isinstance(image, Tensor):
            yield source, image, boxes
        elif on_error is None:
            raise image
        else:
            on_error(source, image)


def _try_to_read(source: Source) -> tuple[Source, Tensor | UserError]:
    try:
        source = kept_source(source)
        return source, read_source(source)
    except UserError as error:
        return source, error
