"""What accumulates while a model is measured."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from maskrcnn.data.coco import LabelledImages
from maskrcnn.errors import UserError
from maskrcnn.evaluation.panoptic import PanopticCounts
from maskrcnn.evaluation.pixel_pictures import PixelExamples
from maskrcnn.evaluation.semantic import Confusion
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.prediction import Prediction
from maskrcnn.scoring import ground_truth_of, read_picture, true_label_map, true_panoptic_map
from maskrcnn.structures import Categories
from maskrcnn.structures.masks import ByteArray
from maskrcnn.text import one_line

LINES_SHOWN = 5
"""Of the images that could not be read, this many are named."""


@dataclass
class EvaluationRun:
    """What accumulates over the images.

    Attributes:
        data: the images and their labels.
        categories: the model's classes.
        max_pixels: larger images are refused.
        confusion: counts the pixels of a model that tells their classes; else None.
        panoptic: counts the segments of a model that finds objects and tells the class of every pixel; else None.
        score_threshold: of the objects among these.
        pixel_examples: label maps to look at, where somebody will.
        results: COCO results, with the data set's ids and with file names.
        images: image id -> number of an image the model has seen.
        unreadable: a line for each image that could not be read.
    """

    data: LabelledImages
    categories: Categories
    max_pixels: int
    confusion: Confusion | None = None
    panoptic: PanopticCounts | None = None
    score_threshold: float = 0.5
    pixel_examples: PixelExamples | None = None
    results: list[dict[str, Any]] = field(default_factory=list)
    images: dict[int, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        theirs = self.data.categories
        known = frozenset(self.categories.names)
        self.ids = {name: i for i, name in zip(theirs.ids, theirs.names, strict=True) if name in known}
        if not self.ids:
            raise UserError(
                f"{self.data.report.source}: expected a class of the model ({_listed(self.categories.names)}), "
                f"got {_listed(theirs.names)}; classes are compared by name"
            )

    def add(self, number: int, prediction: Prediction) -> None:
        """Keep what was found in an image, as far as the data set knows the classes."""
        labels = self.data.labels
        image_id, file_name = int(labels.image_ids[number]), labels.file_name(number)
        self.images[image_id] = number
        self.results += [
            {**result, "category_id": self.ids[result["category_name"]], "file_name": file_name}
            for result in prediction.to_coco(image_id)
            if result["category_name"] in self.ids
        ]
        if self.confusion is not None and prediction.semantic is not None:
            true_map = true_label_map(self.data, number, self.categories)
            self.confusion.add(true_map, prediction.semantic)
            if self.pixel_examples is not None:
                self.pixel_examples.add(image_id, file_name, true_map, prediction.semantic)
        if self.panoptic is not None:
            not_in_data = [label for label, name in enumerate(self.categories.names) if name not in self.ids]
            found = prediction.panoptic(self.score_threshold).without(not_in_data)
            self.panoptic.add(true_panoptic_map(self.data, number, self.categories), found)

    def leave_out(self, number: int, error: UserError) -> None:
        """Go on without an image that cannot be read."""
        self.unreadable.append(str(error))

    def picture(self, image_id: int) -> ByteArray:
        """The pixels of an image the model has seen."""
        return read_picture(self.data, self.images[image_id], self.max_pixels)

    def ground_truth(self) -> GroundTruth:
        """The objects of the images the model has seen."""
        truth = ground_truth_of(self.data)
        if not self.images:
            raise UserError(f"{truth.source}: none of the images can be read; the first: {self.unreadable[0]}")
        return replace(truth, images=self.images)

    def warnings(self) -> list[str]:
        """What else is to be known about the numbers."""
        lines = self.data.report.faults()
        lines += [f"image left out: {line}" for line in self.unreadable[:LINES_SHOWN]]
        if len(self.unreadable) > LINES_SHOWN:
            lines.append(f"{len(self.unreadable) - LINES_SHOWN} more images left out: they cannot be read")
        for known, other, fact in (
            (self.categories.names, self.data.categories.names, "unknown to the model, so never found"),
            (self.data.categories.names, self.categories.names, "unknown to the data set, so not counted"),
        ):
            names = frozenset(known)
            if missing := [name for name in other if name not in names]:
                lines.append(f"classes {fact}: {_listed(missing)}")
        return lines


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(one_line, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
