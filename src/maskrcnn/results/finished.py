"""The finished images of a run, one after the other, as predictions again: what every form of results is made from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.formats.writers.scene import short_names
from maskrcnn.masks.rle_coco import LARGEST_FRAME, packed_from_coco
from maskrcnn.prediction import Prediction
from maskrcnn.results.rows import ResultRows
from maskrcnn.structures import Categories, Size
from maskrcnn.structures.keypoints import PIXEL_CENTRE


@dataclass(frozen=True)
class FinishedImage:
    """One image.

    Attributes:
        number: its id in COCO's results.
        path: its file.
        name: the file relative to the folder that all images of the run have in common, with forward slashes.
        stem: a name for files made of it, without their ending; no other image has the same, see `short_names`.
        size: (height, width), pixels.
        parts: reads its objects, with decided masks; boxes as they were written, to a thousandth of a pixel. In one
            part, or in several where it was cut into tiles, so that a form can be written without holding all objects.
    """

    number: int
    path: Path
    name: str
    stem: str
    size: Size
    parts: Callable[[], Iterator[Prediction]]

    @cached_property
    def prediction(self) -> Prediction:
        """All of them."""
        return Prediction.concatenate(list(self.parts()))

    @property
    def file_name(self) -> str:
        """The stem with the ending of its file."""
        return self.stem + self.path.suffix


@dataclass(frozen=True)
class Finished:
    """Those of a run.

    Attributes:
        rows: the results.
        names: the images asked for.
        categories: the model's classes.
        pixel_size: the length of a pixel's side in the unit of measurements.
        channels: of the images.
    """

    rows: ResultRows
    names: Sequence[str]
    categories: Categories
    pixel_size: float = 1.0
    channels: Channels = RGB

    def __iter__(self) -> Iterator[FinishedImage]:
        for number, file in self.rows.images(self.names):
            row = next(self.rows.of(file))
            if row["error"] is None:
                path, name = Path(row["file_name"]), self._relative[row["file_name"]]
                stem, size = Path(self._short[name]).stem, (row["height"], row["width"])
                yield FinishedImage(number, path, name, stem, size, partial(self._parts, file))

    def _parts(self, file: str) -> Iterator[Prediction]:
        return (prediction_of(row, self.categories, self.channels) for row in self.rows.of(file))

    def failures(self) -> Iterator[tuple[str, str]]:
        """(name, reason) of images that could not be read."""
        for _, row in self.rows.numbered(self.names):
            if row["error"] is not None:
                yield row["file_name"], row["error"]

    @property
    def model(self) -> str:
        """SHA-256 of the model's file; empty where there are no results."""
        return next((row["model"] for _, row in self.rows.numbered(self.names)), "")

    @cached_property
    def folder(self) -> Path:
        """That all images have in common."""
        return common_folder(self._files)

    @cached_property
    def _files(self) -> list[str]:
        return list(dict.fromkeys(row["file_name"] for _, row in self.rows.numbered(self.names)))

    @cached_property
    def _relative(self) -> dict[str, str]:
        return relative_names(self._files)

    @cached_property
    def _short(self) -> dict[str, str]:
        return short_names(list(self._relative.values()))


def common_folder(files: Sequence[str]) -> Path:
    """That all files have in common."""
    return Path(os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files]))


def relative_names(files: Sequence[str]) -> dict[str, str]:
    """Each file relative to that folder, with forward slashes."""
    folder = common_folder(files)
    return {file: Path(os.path.relpath(file, folder)).as_posix() for file in files}


def prediction_of(row: Mapping[str, Any], categories: Categories, channels: Channels = RGB) -> Prediction:
    """What a row of results says."""
    objects, size = row["objects"], (row["height"], row["width"])
    boxes = np.array([found["bbox"] for found in objects], np.float32).reshape(-1, 4)
    has_masks = bool(objects) and all("segmentation" in found for found in objects)
    return Prediction(
        boxes=np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]),
        scores=np.array([found["score"] for found in objects], np.float32),
        labels=np.array([categories.label_of(found["category_id"]) for found in objects], np.int64),
        image_size=size,
        categories=categories,
        source=row["file_name"],
        given_masks=packed_from_coco([f["segmentation"] for f in objects], size, LARGEST_FRAME) if has_masks else None,
        keypoints=_keypoints(objects, categories),
        channels=channels,
    )


def _keypoints(objects: Sequence[Mapping[str, Any]], categories: Categories) -> Any:
    """(D, P, 3), zeros for classes that have none."""
    schema = categories.keypoints
    if schema is None or not any("keypoints" in found for found in objects):
        return None
    none = [0.0] * 3 * len(schema)
    rows = np.array([found.get("keypoints", none) for found in objects], np.float32).reshape(len(objects), -1, 3)
    return rows + np.array([PIXEL_CENTRE, PIXEL_CENTRE, 0], np.float32)
