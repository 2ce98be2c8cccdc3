"""GroundTruth: the objects to find, as the reader of the labels has made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from maskrcnn.errors import UserError
from maskrcnn.evaluation.metrics import IouType
from maskrcnn.structures import Categories, KeypointSchema, Size
from maskrcnn.structures.federated import Federated
from maskrcnn.structures.labels import LabelStore
from maskrcnn.structures.street import StreetPixels


@dataclass(frozen=True)
class GroundTruth:
    """The objects to find: the very labels that training reads, so that both speak of the same objects.

    Attributes:
        source: the file, for messages.
        categories: the classes.
        labels: images and objects; those to be ignored are neither right nor wrong when they are found.
        images: image id -> number of the image in `labels`, by ascending id; by default all of them.
        group_names: what the groups of images are called, by their numbers in `labels`.
        federated: in which images a class was looked for (LVIS); None: each in all.
        street: which pixels do not count (Cityscapes); None: nobody says.
    """

    source: str
    categories: Categories
    labels: LabelStore
    images: Mapping[int, int] = field(default_factory=dict)
    group_names: Sequence[str] = ()
    federated: Federated | None = None
    street: StreetPixels | None = None

    def __post_init__(self) -> None:
        images = self.images or {image_id: number for number, image_id in enumerate(self.labels.image_ids.tolist())}
        object.__setattr__(self, "images", dict(sorted(images.items())))

    def size_of(self, image_id: int) -> Size:
        """(height, width) of an image, pixels."""
        return self.labels.size(self.images[image_id])

    def is_compared(self, label: int, iou_type: IouType) -> bool:
        """Whether `iou_type` is about a class: stuff has no objects, and not every class has keypoints."""
        return label not in self.categories.stuff and (iou_type != "keypoints" or self.categories.has_keypoints(label))

    def objects_compared(self, iou_type: IouType) -> Iterator[tuple[int, int]]:
        """The objects and the regions to be ignored that take part: position in `images`, number in `labels`."""
        for position, image in enumerate(self.images.values()):
            for number in self.labels.objects(image):
                if not self.labels.stuff[number] and self.is_compared(int(self.labels.labels[number]), iou_type):
                    yield position, number

    def has_masks(self) -> bool:
        """Whether any object has a mask; True where there is no object at all."""
        kinds = self.labels.mask_kinds[~self.labels.stuff]
        return len(kinds) == 0 or bool(kinds.any())

    def keypoint_schema(self) -> KeypointSchema:
        """The keypoints to compare.

        Raises:
            UserError: the classes have none, or not all the same.
        """
        schema = self.categories.keypoints
        if schema is None:
            raise UserError(f"{self.source}: expected categories with keypoints, all the same, to compare them")
        return schema

    def most_objects(self) -> dict[int, int]:
        """Image id -> how many objects to find it has of one class, the most frequent."""
        counts = {}
        for image_id, number in self.images.items():
            objects = self.labels.objects(number)
            part = slice(objects.start, objects.stop)
            own = self.labels.labels[part][self.labels.are_objects(number)]
            counts[image_id] = int(torch.unique(own, return_counts=True)[1].max()) if len(own) else 0
        return counts
