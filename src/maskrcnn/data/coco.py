"""Reader of COCO instance annotations.

The file is checked while it is read, once. What is wrong with a single image or annotation is repaired or dropped by
the rule `report.Fault` states, and written down in a `DataReport`; only a file that is no COCO file at all, or of which
no image is left, is an error. Images without annotations are kept: they are background to learn from.

Labels are absolute pixels of the upright picture; see `images.py` for labels made on a picture before its EXIF
orientation was applied.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from maskrcnn.data.channel_files import left_out
from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.coco_annotations import MISSING, Annotations, Plain, load_coco, understood
from maskrcnn.data.coco_areas import note_wrong_areas
from maskrcnn.data.coco_categories import read_categories
from maskrcnn.data.coco_federated import read_federated
from maskrcnn.data.coco_images import ImageReader
from maskrcnn.data.coco_keypoints import read_keypoints
from maskrcnn.data.coco_objects import read_crowd, read_object
from maskrcnn.data.coco_owners import Owned, looked_up, owned, shown_id
from maskrcnn.data.coco_street import read_street
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.data.report import DataReport, Fault
from maskrcnn.errors import UserError
from maskrcnn.structures import Categories
from maskrcnn.structures.federated import Federated
from maskrcnn.structures.label_merging import Part, merged
from maskrcnn.structures.labels import ImageEntry, LabelStore, ObjectEntry, StoreBuilder
from maskrcnn.structures.masks import IntArray
from maskrcnn.structures.street import StreetPixels
from maskrcnn.text import brief

Entry = Mapping[str, Any]

Crowd = Literal["ignore", "object"]
"""What an annotation with `iscrowd` 1 is."""

ONE_CLASS = Categories((1,), ("object",))


@dataclass(frozen=True)
class LabelledImages:
    """A data set: images in a folder and what is known about them.

    Attributes:
        folder: the images' file names are relative to this.
        categories: what the labels mean.
        labels: image sizes, file names, objects.
        report: what was wrong with the annotation file.
        group_names: what the groups of images are called, by their numbers.
        has_void: whether nobody knows what pixels without any label show (COCO panoptic); else that is background.
        channels: of the images.
        federated: in which images a class was looked for (LVIS); None: each in all.
        street: which pixels do not count (Cityscapes), where they are to be measured on; None: nobody says.
    """

    folder: Path
    categories: Categories
    labels: LabelStore
    report: DataReport
    group_names: tuple[str, ...] = ()
    has_void: bool = False
    channels: Channels = RGB
    federated: Federated | None = None
    street: StreetPixels | None = None


def channels_left_out(data: LabelledImages) -> str:
    """A line where the first image has channels that are not read as RGB; else empty."""
    return left_out(data.folder / data.labels.file_name(0)) if data.channels.rgb else ""


def without_classes(data: LabelledImages) -> LabelledImages:
    """The same with one class, "object", for all: what an RPN alone can tell apart."""
    labels = replace(data.labels, labels=torch.zeros_like(data.labels.labels))
    return replace(data, categories=ONE_CLASS, labels=labels, federated=None, street=None)


def read_coco(
    annotations: Path | Mapping[str, Any],
    images: Path | None = None,
    *,
    source: str = "",
    check_files: bool = False,
    max_pixels: int = MAX_PIXELS,
    group_by: str = "",
    need_masks: bool = True,
    crowd: Crowd = "ignore",
    channels: Channels = RGB,
) -> LabelledImages:
    """Read COCO instances; every other format of labels becomes such content first.

    Args:
        annotations: the JSON file, or its content.
        images: the folder its file names are relative to; None: the files are not looked for, sizes are as stated.
        source: what messages call the labels; by default the file.
        check_files: also open each image's header, and let the file's size win over the annotations'.
        max_pixels: images that claim more are dropped.
        group_by: field of the image records whose values tell groups of images apart; empty: one group.
        need_masks: False: objects without a usable mask count by their boxes, instead of being ignored.
        crowd: whether annotations with `iscrowd` 1 are ignored, as COCO means them, or objects like the others: tools
            that write every mask as run lengths mark them so.
        channels: of the images; files with others are dropped where `check_files` looks at them.

    Raises:
        UserError: not COCO instances, or none of the images is usable.
    """
    content = load_coco(annotations) if isinstance(annotations, Path) else understood(annotations)
    report = DataReport(source or (str(annotations) if isinstance(annotations, Path) else "the labels"))
    image_reader = ImageReader(images, check_files, max_pixels, group_by, report, channels)
    return _CocoReader(report, image_reader, need_masks, crowd).read(content)


def read_to_measure(annotations: Path | Mapping[str, Any], images: Path | None, **settings: Any) -> LabelledImages:
    """As `read_coco`; where not one object has a mask, all count by their boxes, as for a model without masks."""
    data = read_coco(annotations, images, **settings)
    if data.report.counts[Fault.ALL_BOXES]:
        data = read_coco(annotations, images, **(settings | {"need_masks": False}))
    return data if isinstance(annotations, Path) else with_street(data, annotations)


def with_street(data: LabelledImages, content: Mapping[str, Any]) -> LabelledImages:
    """The same with what the content that it was read from says of pixels that do not count."""
    numbers = enumerate(data.labels.image_ids.tolist())
    return replace(data, street=read_street(content["images"], {i: data.labels.size(n) for n, i in numbers}))


class _CocoReader:
    """One pass over one file."""

    def __init__(self, report: DataReport, images: ImageReader, need_masks: bool, crowd: Crowd) -> None:
        self.report = report
        self.images = images
        self.need_masks = need_masks
        self.crowd = crowd
        self.num_crowds = 0

    def read(self, content: Any) -> LabelledImages:
        images, annotations, categories = (
            self._list(content, name) for name in ("images", "annotations", "categories")
        )
        table = annotations if isinstance(annotations, Annotations) else Annotations.of_list(annotations)
        classes = read_categories(categories, set(table.category_ids) - {MISSING}, self.report)
        labels = self._labels(table, list(self.images.read(images)), classes)
        note_wrong_areas(labels, self.report)
        self.report.place = (None, {})
        self._look_over(labels)
        folder = Path() if self.images.folder is None else self.images.folder.path
        names, has_void = tuple(self.images.group_names), content.get("unlabelled") == "void"
        federated = read_federated(images, categories, classes)
        return LabelledImages(folder, classes, labels, self.report, names, has_void, self.images.channels, federated)

    def _list(self, content: Any, name: str) -> Any:
        values = content.get(name) if isinstance(content, Mapping) else None
        if isinstance(values, list | Annotations):
            return values
        raise UserError(
            f"{self.report.source}: expected a COCO instances file, an object with the lists images, annotations and "
            f"categories, but found no list {name!r}; check that this is the right file"
        )

    # --- annotations --------------------------------------------------------------------------------------------

    def _labels(self, table: Annotations, images: list[ImageEntry], classes: Categories) -> LabelStore:
        """Those that are plain and faultless together, the others one by one; in the order of `owned`."""
        found = owned(table, images, self.images, self.report)
        labels = looked_up(np.asarray(table.category_ids)[found.places], {id_: n for n, id_ in enumerate(classes.ids)})
        packed = [part for part in table.plain if len(part.objects)]
        plain = [_plain_objects(part, found, labels, images, classes) for part in packed]
        is_left = np.ones(len(labels), dtype=bool)
        for _, own in plain:
            is_left[own[own >= 0]] = False
        others, other_numbers = self._others(table, found, np.flatnonzero(is_left), labels, images, classes)
        if not packed:
            return others
        numbers = np.full(len(labels) + 1, -1)  # the last stands for what is left out
        is_left[other_numbers] = False
        kept = np.flatnonzero(~is_left)
        numbers[kept] = np.arange(len(kept))
        first_object = np.searchsorted(found.images[kept], np.arange(len(images) + 1))
        parts = [
            Part(store, numbers[own], part.objects.points) for part, (store, own) in zip(packed, plain, strict=True)
        ]
        return merged(others, first_object, [*parts, Part(others, numbers[other_numbers])])

    def _others(
        self,
        table: Annotations,
        found: Owned,
        wanted: IntArray,
        labels: IntArray,
        images: list[ImageEntry],
        classes: Categories,
    ) -> tuple[LabelStore, IntArray]:
        """Objects of the `wanted` ones of `found`, and which of them each is."""
        builder, numbers = StoreBuilder(), array("q")
        first = np.searchsorted(found.images[wanted], np.arange(len(images) + 1)).tolist()
        for image, (start, end) in zip(images, pairwise(first), strict=True):
            own = wanted[start:end].tolist()
            entries = ((n, table[int(found.places[n])], int(found.ids[n]), int(labels[n])) for n in own)
            builder.add_image(image, self._objects(entries, image, classes, numbers))
        return builder.build(classes.stuff), np.asarray(numbers)

    def _objects(
        self,
        entries: Iterable[tuple[int, Entry, int, int]],
        image: ImageEntry,
        classes: Categories,
        numbers: array[int],
    ) -> Iterator[ObjectEntry]:
        """Of annotations with their numbers, ids and labels; `numbers` gets those of the usable ones."""
        for number, entry, annotation_id, label in entries:
            self.report.place, note = (image.image_id, entry), partial(self._note, shown_id(entry, annotation_id))
            if label < 0:
                note(Fault.UNKNOWN_CATEGORY, brief(entry.get("category_id")))
                continue
            is_crowd = read_crowd(entry, note)
            ignored = is_crowd and self.crowd == "ignore"
            item = read_object(
                entry, annotation_id, label, image.size, note, need_masks=self.need_masks, is_crowd=ignored
            )
            if item is not None:
                self.num_crowds += is_crowd
                schema = classes.schemas[label] if classes.schemas else None
                keypoints = None if item.ignore else read_keypoints(entry, schema, image.size, note)
                numbers.append(number)
                yield item if keypoints is None else replace(item, keypoints=keypoints)

    def _note(self, shown: str, fault: Fault, detail: str) -> None:
        self.report.add(fault, f"annotation {shown}", detail)

    def _look_over(self, labels: LabelStore) -> None:
        """Count, and name what only the whole file shows."""
        report = self.report
        if not len(labels):
            first = report.lines[0] if report.lines else f"{report.source}: the list images is empty"
            where = "" if self.images.folder is None else f" in {self.images.folder.path}"
            raise UserError(
                f"{report.source}: expected at least one usable image{where}, got none (--images names another "
                f"folder); {first}"
            )
        report.count(labels)
        everything = f"all {labels.num_objects} annotations"
        if report.num_ignored and self.num_crowds == labels.num_objects:
            report.add(Fault.ALL_CROWDS, everything)
        elif report.num_ignored and report.counts[Fault.MASK_UNUSABLE] == labels.num_objects:
            report.add(Fault.ALL_BOXES, everything)


def _plain_objects(
    plain: Plain, found: Owned, labels: IntArray, images: Sequence[ImageEntry], classes: Categories
) -> tuple[LabelStore, IntArray]:
    """Plain annotations as objects, and which of `found` each is; -1 for those that are not faultless."""
    number_of_place = np.full(max(found.places.max(initial=-1), plain.places.max(initial=-1)) + 2, -1)
    number_of_place[found.places[labels >= 0]] = np.flatnonzero(labels >= 0)
    numbers = number_of_place[plain.places]  # -1 points to the last, which is -1
    sizes = np.array([*(image.size for image in images), (0, 0)])  # the last is that of no image
    good, boxes = plain.objects.judged(sizes[np.append(found.images, -1)[numbers]])
    numbers[~good] = -1
    own_labels = np.append(labels, -1)[numbers]
    return plain.objects.store(np.append(found.ids, -1)[numbers], own_labels, boxes, classes.stuff), numbers
