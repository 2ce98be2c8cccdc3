"""What accumulates while a model is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from maskrcnn.data.coco import LabelledImages
from maskrcnn.errors import UserError
from maskrcnn.evaluation.lvis import LVIS_DETECTIONS
from maskrcnn.evaluation.panoptic import PanopticCounts
from maskrcnn.evaluation.pixel_pictures import LabelMaps, PixelExamples
from maskrcnn.evaluation.semantic import Confusion, SemanticMetrics
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.prediction import Prediction
from maskrcnn.scoring import ground_truth_of, opened_picture, true_label_map, true_panoptic_map
from maskrcnn.structures import Categories, Size
from maskrcnn.structures.large_image import LargeImage
from maskrcnn.structures.masks import ByteArray, FloatArray, IntArray
from maskrcnn.text import listed

T = TypeVar("T")

LINES_SHOWN = 5
"""Of the images that could not be read, this many are named."""


class Sharing(Protocol):
    """How processes share the images of an evaluation. `training.distributed.Ranks` is one."""

    def share_of(self, count: int) -> range:
        """The numbers of this process's images."""

    def in_rounds(self, own: Iterator[T], count: int) -> Iterator[Sequence[T]]:
        """What all processes make of their images, in the order of the images; some at a time, on the first alone."""


class Alone:
    """One process with all images."""

    def share_of(self, count: int) -> range:
        """All of them."""
        return range(count)

    def in_rounds(self, own: Iterable[T], count: int) -> Iterator[Sequence[T]]:
        """One at a time."""
        return ((item,) for item in own)


@dataclass(frozen=True)
class Outcome:
    """What an evaluation keeps of an image. It is small, so that it can travel between processes.

    Attributes:
        number: of the image in the data set.
        error: why it cannot be read; then there is nothing else.
        results: COCO results, with the data set's ids and with file names; masks as run lengths.
        confusion: (K + 1, K + 1) pixels, see `Confusion`.
        panoptic: (K, 4), see `PanopticCounts`.
        example: label maps to look at.
        overlay: (H, W, 3) uint8 RGB, where somebody watches this image.
    """

    number: int
    error: str = ""
    results: Sequence[dict[str, Any]] = ()
    confusion: IntArray | None = None
    panoptic: FloatArray | None = None
    example: LabelMaps | None = None
    overlay: ByteArray | None = None


@dataclass
class EvaluationRun:
    """What accumulates over the images.

    Attributes:
        data: the images and their labels.
        categories: the model's classes.
        max_pixels: larger images are refused.
        max_detections: per image, those that count.
        confusion: counts the pixels of a model that tells their classes; else None.
        panoptic: counts the segments of a model that finds objects and tells the class of every pixel; else None.
        score_threshold: of the objects among these.
        pixel_examples: label maps to look at, where somebody will.
        results: COCO results, with the data set's ids and with file names.
        images: image id -> number of an image the model has seen.
        unreadable: a line for each image that could not be read.
        is_cut: whether an image of (height, width) goes through the model in tiles.
    """

    data: LabelledImages
    categories: Categories
    max_pixels: int
    max_detections: int
    confusion: Confusion | None = None
    panoptic: PanopticCounts | None = None
    score_threshold: float = 0.5
    pixel_examples: PixelExamples | None = None
    results: list[dict[str, Any]] = field(default_factory=list)
    images: dict[int, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    is_cut: Callable[[Size], bool] = lambda _: False

    def __post_init__(self) -> None:
        theirs = self.data.categories
        known = frozenset(self.categories.names)
        self.ids = {name: i for i, name in zip(theirs.ids, theirs.names, strict=True) if name in known}
        if not self.ids:
            raise UserError(
                f"{self.data.report.source}: expected a class of the model ({listed(self.categories.names)}), "
                f"got {listed(theirs.names)}; classes are compared by name"
            )

    @property
    def not_in_data(self) -> list[int]:
        """The model's labels of classes that the data set does not know."""
        return [label for label, name in enumerate(self.categories.names) if name not in self.ids]

    def outcome(self, number: int, prediction: Prediction, overlay: ByteArray | None = None) -> Outcome:
        """What was found in an image, as far as the data set knows the classes; changes nothing here."""
        labels = self.data.labels
        image_id, file_name = int(labels.image_ids[number]), labels.file_name(number)
        results = [
            {**result, "category_id": self.ids[result["category_name"]], "file_name": file_name}
            for result in prediction.to_coco(image_id)
            if result["category_name"] in self.ids
        ]
        confusion, example = self._pixels(number, prediction.semantic)
        return Outcome(number, "", results, confusion, self._segments(number, prediction), example, overlay)

    def _pixels(self, number: int, found: ByteArray | None) -> tuple[IntArray | None, LabelMaps | None]:
        if self.confusion is None or found is None:
            return None, None
        true_map = true_label_map(self.data, number, self.categories)
        own, looked_at = Confusion(self.categories.names), PixelExamples()
        own.add(true_map, found)
        if self.pixel_examples is not None:
            labels = self.data.labels
            looked_at.add(int(labels.image_ids[number]), labels.file_name(number), true_map, found)
        return own.counts, next(iter(looked_at.worst_first()), None)

    def _segments(self, number: int, prediction: Prediction) -> FloatArray | None:
        if self.panoptic is None:
            return None
        found = prediction.panoptic(self.score_threshold).without(self.not_in_data)
        own = PanopticCounts(self.categories)
        own.add(true_panoptic_map(self.data, number, self.categories), found)
        return own.counts

    def add(self, outcome: Outcome) -> None:
        """Keep what an image came to; in the order of the images, on which the last bits of sums depend."""
        if outcome.error:
            self.unreadable.append(outcome.error)
            return
        self.images[int(self.data.labels.image_ids[outcome.number])] = outcome.number
        self.results += outcome.results
        if self.confusion is not None and outcome.confusion is not None:
            self.confusion.counts += outcome.confusion
        if self.panoptic is not None and outcome.panoptic is not None:
            self.panoptic.counts += outcome.panoptic
        if self.pixel_examples is not None and outcome.example is not None:
            self.pixel_examples.keep(outcome.example)

    def semantic(self) -> SemanticMetrics | None:
        """Of a model that tells the class of every pixel; labels with void know no background."""
        if self.confusion is None:
            return None
        background = [len(self.categories)] if self.data.has_void else []
        return self.confusion.metrics([*self.not_in_data, *background])

    def picture(self, image_id: int) -> LargeImage:
        """An image the model has seen, to look at."""
        return opened_picture(self.data, self.images[image_id], self.max_pixels)

    def limit(self, truth: GroundTruth) -> int:
        """How many detections of an image and class count: in one that was cut, all of them."""
        cut = {image_id for image_id in truth.images if self.is_cut(truth.size_of(image_id))}
        classes = Counter((r["image_id"], r["category_id"]) for r in self.results if cut and r["image_id"] in cut)
        objects = [count for image_id, count in truth.most_objects().items() if image_id in cut] if cut else []
        return max([self.max_detections, *classes.values(), *objects])

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
        if self.data.federated is not None and self.max_detections < LVIS_DETECTIONS:
            lines.append(
                f"max_detections = {self.max_detections}: LVIS counts up to {LVIS_DETECTIONS} in an image; raise it"
            )
        for known, other, fact in (
            (self.categories.names, self.data.categories.names, "unknown to the model, so never found"),
            (self.data.categories.names, self.categories.names, "unknown to the data set, so not counted"),
        ):
            names = frozenset(known)
            if missing := [name for name in other if name not in names]:
                lines.append(f"classes {fact}: {listed(missing)}")
        return lines
