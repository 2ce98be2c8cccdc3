"""From names of images to rows of results, whoever asks: a shard of ours, or a partition of Spark or Dask."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.failures import failure_of_machine
from maskrcnn.large.shrinking import ShrunkImage
from maskrcnn.large.tiling import tiles_text
from maskrcnn.loading import load, model_facts, model_hash
from maskrcnn.pipeline import followed
from maskrcnn.prediction import Prediction
from maskrcnn.predictor import own_score_threshold
from maskrcnn.results.row import RunSettings, failed_row, found_row
from maskrcnn.scale.pictures import Picture, read_ahead
from maskrcnn.structures.masks import ByteArray


@dataclass(frozen=True)
class Job:
    """What a process must know to make rows; it can be sent to another one.

    Attributes:
        model: as `load` takes it.
        settings: what results depend on; all processes must have the same model.
        device: as `load` takes it.
        batch_size: images of one size that share a pass.
        tile: "auto", "none" or the side of tiles.
        overlap: of tiles, see `Model.predict_large`.
        background: of tiles.
        folder: to which the names of files are relative.
    """

    model: str
    settings: RunSettings
    device: str = "auto"
    batch_size: int = 1
    tile: str | int = "auto"
    overlap: int | None = None
    background: int = 0
    folder: str = "."

    @classmethod
    def of(
        cls,
        model: str,
        score_threshold: float | None = None,
        max_detections: int | None = None,
        precision: str = "float32",
        *,
        device: str = "auto",
        batch_size: int = 1,
        tile: str | int = "auto",
        overlap: int | None = None,
        background: int = 0,
        folder: str = ".",
    ) -> Job:
        """The job that these words describe, as for `predict`; raises `UserError` where there is no such model.

        >>> job = Job.of("nuclei", score_threshold=0.5)
        """
        if score_threshold is None:
            score_threshold = own_score_threshold(model_facts(model)[1])
        tiles = tiles_text(tile, overlap, background)
        settings = RunSettings(
            model_hash(model), score_threshold, max_detections, precision, proposals=None, tiles=tiles
        )
        return cls(model, settings, device, batch_size, tile, overlap, background, folder)


class RowMaker:
    """A model that makes rows.

    Args:
        job: what is to be done.

    Raises:
        UserError: as `load`; another model than the job's; one that tells the class of every pixel.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        if (found := model_hash(job.model)) != job.settings.model:
            raise UserError(
                f"{job.model}: expected the model with SHA-256 {job.settings.model[:12]}..., this machine has "
                f"{found[:12]}...; give all machines the same file"
            )
        self._model = load(job.model, job.device, job.settings.precision)
        if self._model.config.semantic_head.enabled:
            raise UserError(
                f"{job.model}: tells the class of every pixel, which rows have no place for; predict without --shards"
            )

    def rows(self, names: Iterable[str]) -> Iterator[dict[str, Any]]:
        """The rows of each image, in their order: `results.row.found_row`, or `failed_row` where it cannot be read."""
        last = time.perf_counter()
        pictures, settings = read_ahead(names, self._job.tile, self._model.config), self._job.settings
        while batch := list(islice(pictures, self._job.batch_size)):
            for picture, found, more in self._found(batch):
                now = time.perf_counter()
                if isinstance(found, UserError):
                    yield failed_row(picture.name, str(found), settings)
                else:
                    content = None if more else picture.content
                    yield found_row(picture.name, content, found, now - last, settings, more=more)
                last = last if more else now

    def _found(self, batch: list[Picture]) -> Iterator[tuple[Picture, Prediction | UserError, bool]]:
        """What is found in each picture, and whether there is more of it."""
        whole = [picture.source for picture in batch if not picture.cut and not isinstance(picture.source, UserError)]
        settings, size = self._job.settings, self._job.batch_size
        found = self._model.stream(iter(whole), size, settings.score_threshold, settings.max_detections)
        try:
            for picture in batch:
                if isinstance(picture.source, UserError):
                    yield picture, picture.source, False
                elif picture.cut:
                    yield from ((picture, part, more) for part, more in self._parts(picture.source))
                else:
                    yield picture, _next(found), False
        except (RuntimeError, MemoryError) as error:
            if (reason := failure_of_machine(error)) is None:
                raise
            raise UserError(f"{', '.join(picture.name for picture in batch)}: {reason}") from error

    def _parts(self, source: ByteArray | Path) -> Iterator[tuple[Prediction | UserError, bool]]:
        job, settings = self._job, self._job.settings
        tiles = None if job.tile == "auto" else int(job.tile), job.overlap, job.background, job.batch_size
        try:
            yield from followed(
                self._model.stream_large(source, *tiles, settings.score_threshold, settings.max_detections)
            )
        except UserError as error:
            yield error, False


def _next(found: Iterator[Prediction]) -> Prediction:
    """Without a warning that names `predict_large`: how images are cut is the job's matter, and logs had one each call.

    Just for this moment, since other code of the process, of Spark or of Dask, has warnings of its own.
    """
    with warnings.catch_warnings(action="ignore", category=ShrunkImage):
        return next(found)
