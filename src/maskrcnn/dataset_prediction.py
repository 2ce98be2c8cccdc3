"""A model over the images of a data set: in one piece, or in tiles where they are large."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from torch import Tensor

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.proposals import ProposalStore
from maskrcnn.data.windowed.files import opened_labelled
from maskrcnn.errors import UserError
from maskrcnn.large.prediction import AUTO, Cutting, LargeOptions, predict_image
from maskrcnn.pipeline import ahead
from maskrcnn.prediction import Prediction
from maskrcnn.predictor import Predictor
from maskrcnn.scoring import read_input
from maskrcnn.structures.masks import ByteArray

Found = Iterator[tuple[int, Prediction]]
"""Numbers of images, and what was found in them."""

OnError = Callable[[int, UserError], object]

Limits = tuple[int, float, int]
"""Images of a pass, lowest score, most detections."""


def predict_dataset(
    model: Predictor[Any],
    data: LabelledImages,
    max_detections: int,
    batch_size: int = 1,
    on_error: OnError | None = None,
    proposals: ProposalStore | None = None,
    numbers: Sequence[int] | None = None,
    cutting: Cutting = AUTO,
) -> Found:
    """What the model finds in each image of a data set, down to the lowest score it reports.

    Args:
        model: the model.
        data: the images; their objects are not looked at.
        max_detections: per image, or per tile of one that is cut.
        batch_size: images or tiles per pass through the network.
        on_error: called with the number of an image that cannot be read, which is then left out, by the thread that
            reads ahead; None: raised.
        proposals: for a model without RPN.
        numbers: of the images to look at; None: all.
        cutting: which of them are cut into tiles, and how; given `proposals`, none is.

    Yields:
        The number of an image in `data.labels`, and what was found in it.
    """

    def is_cut(number: int) -> bool:
        return proposals is None and cutting.cuts(data.labels.size(number), model.config)

    lowest = model.config.box_head.score_threshold if model.config.box_head.enabled else 0.0
    limits = (batch_size, lowest, max_detections)
    for in_tiles, own in groupby(range(len(data.labels)) if numbers is None else numbers, is_cut):
        if in_tiles:
            yield from _predict_in_tiles(model, data, own, limits, cutting.options, on_error)
        else:
            yield from _predict_whole(model, data, list(own), limits, proposals, on_error)


def _predict_in_tiles(
    model: Predictor[Any],
    data: LabelledImages,
    numbers: Iterable[int],
    limits: Limits,
    options: LargeOptions,
    on_error: OnError | None,
) -> Found:
    """One image after the other; memory is that of two rows of tiles, and of what is found."""
    labels, channels, max_pixels = data.labels, model.channels, model.config.data.max_pixels

    def predict(tiles: Iterator[ByteArray]) -> Iterator[Prediction]:
        return model.stream(tiles, *limits)

    for number in numbers:
        path = data.folder / labels.file_name(number)
        try:
            with opened_labelled(path, labels.size(number), channels, max_pixels) as image:
                found = predict_image(model, image, path, options, predict)
        except UserError as error:
            if on_error is None:
                raise
            on_error(number, error)
        else:
            yield number, found


def _predict_whole(
    model: Predictor[Any],
    data: LabelledImages,
    numbers: Sequence[int],
    limits: Limits,
    proposals: ProposalStore | None,
    on_error: OnError | None,
) -> Found:
    """Each image in one piece."""
    waiting: deque[int] = deque()

    def read() -> Iterator[tuple[int, ByteArray]]:
        for number in numbers:
            try:
                yield number, read_input(data, number, model.channels, model.config.data.max_pixels)
            except UserError as error:
                if on_error is None:
                    raise
                on_error(number, error)

    def pictures() -> Iterator[ByteArray]:
        for number, picture in ahead(read()):
            waiting.append(number)
            yield picture

    def given(store: ProposalStore) -> Iterator[Tensor]:
        while True:  # asked for after its picture: the last one that waits is its own
            yield store.of(waiting[-1])

    boxes = None if proposals is None else given(proposals)
    for prediction in model.stream(pictures(), *limits, proposals=boxes):
        yield waiting.popleft(), prediction
