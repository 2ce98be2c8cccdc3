"""Prediction of large images: what a model offers for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import numpy as np

from maskrcnn.config import Config
from maskrcnn.data.channels import Channels
from maskrcnn.errors import UserError
from maskrcnn.large.pieces import Pieces
from maskrcnn.large.readers import opened
from maskrcnn.large.tiling import Tiling, is_cut, objects_of
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.prediction import Prediction
from maskrcnn.sources import Source
from maskrcnn.structures import Categories, Size
from maskrcnn.structures.large_image import LargeImage
from maskrcnn.structures.masks import ByteArray

Predict = Callable[[Iterator[ByteArray]], Iterable[Prediction]]
"""A model's predictions of pictures (h, w, C), one by one and in their order."""


class Trained(Protocol):
    """What is asked of a model: of PyTorch, or an exported one."""

    categories: Categories
    config: Config
    summary: dict[str, Any]


@dataclass(frozen=True)
class LargeOptions:
    """How a large image is cut; None: as the model was trained, see `Tiling.for_model`."""

    tile: int | None = None
    overlap: int | None = None
    background: int = 0


@dataclass(frozen=True)
class Cutting:
    """Which images are cut into tiles, and how: what `--tile`, `--overlap` and `--background` say.

    Attributes:
        tile: "auto", "none" or the side of tiles, see `tiling.is_cut`.
        overlap: as of `LargeOptions`.
        background: as of `LargeOptions`.
    """

    tile: str | int = "auto"
    overlap: int | None = None
    background: int = 0

    def cuts(self, size: Size, config: Config) -> bool:
        """Whether an image of (height, width) is cut for a model of these settings."""
        return is_cut(lambda: size, self.tile, config)

    @property
    def options(self) -> LargeOptions:
        """How an image is cut."""
        return LargeOptions(self.tile if isinstance(self.tile, int) else None, self.overlap, self.background)


AUTO = Cutting()
"""Where the model needs it."""


class PredictsLarge(Trained, Protocol):
    """What a model with a `stream` can do beside it."""

    def stream(
        self, sources: Iterable[Source], batch_size: int, score_threshold: float | None, max_detections: int | None
    ) -> Iterator[Prediction]:
        """Predictions of images, in their order."""

    def predict_large(
        self,
        source: Source,
        tile: int | None = None,
        overlap: int | None = None,
        background: int = 0,
        batch_size: int = 1,
        score_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> Prediction:
        """Find the objects in an image of any size, tile by tile; each comes once, also where a seam cuts it.

        Args:
            source: a file, of which TIFF (with `tifffile`) and `.npy` are read in parts, an array, also one mapped into
                memory, or whatever `predict` takes.
            tile: side of a tile, pixels; larger ones are shrunk for the network. None: about as large as images
                that it sees at their own size.
            overlap: objects with sides up to this many pixels are seen whole, larger ones put together from parts.
                None: twice the size that 95 % of the training objects stay below.
            background: tiles are left out where no colour's values differ by more than this.
            batch_size: tiles that share a pass.
            score_threshold: as for `predict`.
            max_detections: as for `predict`, in each tile.

        Raises:
            UserError: as `predict`, or a number that makes no sense.
        """
        options = LargeOptions(tile, overlap, background)
        return predict_whole(self, source, options, self._tiles(batch_size, score_threshold, max_detections))

    def stream_large(
        self,
        source: Source,
        tile: int | None = None,
        overlap: int | None = None,
        background: int = 0,
        batch_size: int = 1,
        score_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> Iterator[Prediction]:
        """The same objects, some at a time from top to bottom: memory is that of two rows of tiles."""
        options = LargeOptions(tile, overlap, background)
        return predict_parts(self, source, options, self._tiles(batch_size, score_threshold, max_detections))

    def _tiles(self, batch_size: int, score_threshold: float | None, max_detections: int | None) -> Predict:
        return lambda pictures: self.stream(pictures, batch_size, score_threshold, max_detections)


def predict_parts(model: Trained, source: Source, options: LargeOptions, predict: Predict) -> Iterator[Prediction]:
    """The objects of one image, some at a time from top to bottom, each object once; masks are run lengths.

    Of an image without objects there is one part, which is empty.

    Memory is that of two rows of tiles, however long the image.

    Args:
        model: for its settings and classes.
        source: an image of any size.
        options: how it is cut.
        predict: the model at work.

    Raises:
        UserError: the image cannot be read, options that make no sense, or a model that tells the class of every pixel.
    """
    return _parts(model, source, _tiling(model, options), predict)


def _parts(model: Trained, source: Source, tiling: Tiling, predict: Predict) -> Iterator[Prediction]:
    tiles = _Limited(predict)
    with opened(source, Channels.of(model.config.input)) as image:
        found = objects_of(image, tiling, tiles)
        for objects in chain([next(found, _nothing(model))], found):
            yield _prediction(objects, source, image.size, model, tiles.since_last())
        if limited := tiles.since_last():  # whose objects others have
            yield _prediction(_nothing(model), source, image.size, model, limited)


def predict_whole(model: Trained, source: Source, options: LargeOptions, predict: Predict) -> Prediction:
    """All objects of one image, best score first. Arguments and errors as of `predict_parts`."""
    _tiling(model, options)  # before the image is opened
    with opened(source, Channels.of(model.config.input)) as image:
        return predict_image(model, image, source, options, predict)


def predict_image(
    model: Trained, image: LargeImage, source: Source, options: LargeOptions, predict: Predict
) -> Prediction:
    """The same of an image that is open; `source` is where it came from."""
    tiles = _Limited(predict)
    objects = Pieces.concatenate([_nothing(model), *objects_of(image, _tiling(model, options), tiles)])
    best_first = objects[np.argsort(-objects.scores, kind="stable")]
    return _prediction(best_first, source, image.size, model, tiles.since_last())


class _Limited:
    """The predictions of tiles, and how many of these may have more objects; see `Prediction.limited`."""

    def __init__(self, predict: Predict) -> None:
        self._predict, self._number = predict, 0

    def __call__(self, pictures: Iterator[ByteArray]) -> Iterator[Prediction]:
        for found in self._predict(pictures):
            self._number += found.limited
            yield found

    def since_last(self) -> int:
        """Tiles since this was last asked for."""
        number, self._number = self._number, 0
        return number


def _tiling(model: Trained, options: LargeOptions) -> Tiling:
    if model.config.semantic_head.enabled:
        raise UserError("tiles: this model tells the class of every pixel, which is not put together over seams yet")
    sizes = model.summary.get("object_sizes") or {}
    return Tiling.for_model(model.config.input, sizes, options.tile, options.overlap, options.background)


def _prediction(objects: Pieces, source: Source, size: Size, model: Trained, limited: int) -> Prediction:
    return Prediction(
        boxes=objects.boxes.astype(np.float32),
        scores=objects.scores,
        labels=objects.labels,
        image_size=size,
        categories=model.categories,
        source=source,
        given_masks=None if objects.runs is None else objects.runs.to_packed(size),
        keypoints=objects.keypoints,
        paste=model.config.mask_head.paste,
        mask_threshold=model.config.mask_head.threshold,
        limited=limited,
        channels=Channels.of(model.config.input),
    )


def _nothing(model: Trained) -> Pieces:
    points = len(model.categories.keypoints.names) if model.categories.keypoints is not None else 0
    return Pieces(
        np.zeros((0, 4)),
        np.zeros(0, np.float32),
        np.zeros(0, np.int64),
        np.zeros((0, points, 3), np.float32) if points and model.config.keypoint_head.enabled else None,
        ColumnRuns.concatenate([]) if model.config.mask_head.enabled else None,
        np.zeros(0, np.int64),
    )
