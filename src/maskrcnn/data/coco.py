"""Reader of COCO instance annotations.

The file is checked while it is read, once. What is wrong with a single image or annotation is repaired or dropped by
the rule `report.Fault` states, and written down in a `DataReport`; only a file that is no COCO file at all, or of which
no image is left, is an error. Images without annotations are kept: they are background to learn from.

Labels are absolute pixels of the upright picture; see `images.py` for labels made on a picture before its EXIF
orientation was applied.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, filterfalse
from pathlib import Path
from typing import Any, Literal

import torch

from maskrcnn.data.channel_files import left_out
from maskrcnn.data.channels import RGB, Channels
from maskrcnn.data.coco_annotations import MISSING, Annotations, load_coco
from maskrcnn.data.coco_areas import note_wrong_areas
from maskrcnn.data.coco_categories import read_categories
from maskrcnn.data.coco_images import ImageReader
from maskrcnn.data.coco_keypoints import read_keypoints
from maskrcnn.data.coco_objects import read_crowd, read_object
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.data.report import DataReport, Fault
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number
from maskrcnn.structures import Categories, Size
from maskrcnn.structures.labels import LabelStore, ObjectEntry, StoreBuilder
from maskrcnn.text import brief, one_line

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
    """

    folder: Path
    categories: Categories
    labels: LabelStore
    report: DataReport
    group_names: tuple[str, ...] = ()
    has_void: bool = False
    channels: Channels = RGB


def channels_left_out(data: LabelledImages) -> str:
    """A line where the first image has channels that are not read as RGB; else empty."""
    return left_out(data.folder / data.labels.file_name(0)) if data.channels.rgb else ""


def without_classes(data: LabelledImages) -> LabelledImages:
    """The same with one class, "object", for all: what an RPN alone can tell apart."""
    labels = replace(data.labels, labels=torch.zeros_like(data.labels.labels))
    return replace(data, categories=ONE_CLASS, labels=labels)


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
    content = load_coco(annotations) if isinstance(annotations, Path) else annotations
    report = DataReport(source or (str(annotations) if isinstance(annotations, Path) else "the labels"))
    image_reader = ImageReader(images, check_files, max_pixels, group_by, report, channels)
    return _CocoReader(report, image_reader, need_masks, crowd).read(content)


def read_to_measure(annotations: Path | Mapping[str, Any], images: Path, **settings: Any) -> LabelledImages:
    """As `read_coco`; where not one object has a mask, all count by their boxes, as for a model without masks."""
    data = read_coco(annotations, images, **settings)
    if data.report.counts[Fault.ALL_BOXES]:
        return read_coco(annotations, images, **(settings | {"need_masks": False}))
    return data


class _CocoReader:
    """One pass over one file."""

    def __init__(self, report: DataReport, images: ImageReader, need_masks: bool, crowd: Crowd) -> None:
        self.report = report
        self.images = images
        self.need_masks = need_masks
        self.crowd = crowd
        self.annotation_ids: set[int] = set()
        self.new_ids: Iterator[int] | None = None
        self.num_crowds = 0

    def read(self, content: Any) -> LabelledImages:
        images, annotations, categories = (
            self._list(content, name) for name in ("images", "annotations", "categories")
        )
        table = annotations if isinstance(annotations, Annotations) else Annotations.of_list(annotations)
        classes = read_categories(categories, set(table.category_ids) - {MISSING}, self.report)
        kept = list(self.images.read(images))
        by_image = self._grouped(table, {image.image_id for image in kept})
        labels_of_ids = {category_id: label for label, category_id in enumerate(classes.ids)}
        builder = StoreBuilder()
        for image in kept:
            entries = ((number, table[place]) for place, number in by_image.pop(image.image_id, ()))
            builder.add_image(image, self._objects(entries, image.image_id, image.size, classes, labels_of_ids))
        labels = builder.build(classes.stuff)
        note_wrong_areas(labels, self.report)
        self.report.place = (None, {})
        self._look_over(labels)
        folder = Path() if self.images.folder is None else self.images.folder.path
        names, has_void = tuple(self.images.group_names), content.get("unlabelled") == "void"
        return LabelledImages(folder, classes, labels, self.report, names, has_void, self.images.channels)

    def _list(self, content: Any, name: str) -> Any:
        values = content.get(name) if isinstance(content, Mapping) else None
        if isinstance(values, list | Annotations):
            return values
        raise UserError(
            f"{self.report.source}: expected a COCO instances file, an object with the lists images, annotations and "
            f"categories, but found no list {name!r}; check that this is the right file"
        )

    # --- annotations --------------------------------------------------------------------------------------------

    def _grouped(self, table: Annotations, kept_images: set[int]) -> dict[int, Iterable[tuple[int, int]]]:
        """Places in the table with the annotations' ids, by the image they belong to."""
        by_image: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
        for place, stated_image in enumerate(table.image_ids):
            image_id = self.images.same_as.get(stated_image, stated_image)
            if image_id in kept_images:
                by_image[image_id].extend((place, self._annotation_id(place, table)))
            elif stated_image == MISSING:
                self.report.add(Fault.ANNOTATION_MALFORMED, f"annotation number {place}", brief(table[place]))
            else:
                fault = Fault.DROPPED_IMAGE if image_id in self.images.ids else Fault.UNKNOWN_IMAGE
                self.report.add(fault, f"annotation {brief(table[place].get('id'))}", f"image {image_id}")
        pairs: dict[int, Iterable[tuple[int, int]]] = {
            image_id: zip(flat[::2], flat[1::2], strict=True) for image_id, flat in by_image.items()
        }
        for image_id in set(self.images.same_as.values()) & pairs.keys():
            pairs[image_id] = list(self._without_repeats(pairs[image_id], table))
        return pairs

    def _without_repeats(self, pairs: Iterable[tuple[int, int]], table: Annotations) -> Iterator[tuple[int, int]]:
        """Of an image that is listed twice, perhaps with the same objects: each object once."""
        seen: set[str] = set()
        for place, annotation_id in pairs:
            entry = table[place]
            said = json.dumps([entry.get(key) for key in ("category_id", "bbox", "segmentation")])
            if said in seen:
                self.report.add(Fault.ANNOTATION_REPEATED, f"annotation {_shown_id(entry, annotation_id)}")
            else:
                seen.add(said)
                yield place, annotation_id

    def _annotation_id(self, place: int, table: Annotations) -> int:
        """The annotation's own id where it has one that no other has."""
        annotation_id = table.ids[place]
        if annotation_id == MISSING:
            self.report.add(Fault.ANNOTATION_ID_MISSING, f"annotation number {place}", brief(table[place].get("id")))
        elif annotation_id in self.annotation_ids:
            self.report.add(Fault.ANNOTATION_ID_TWICE, f"annotation {annotation_id}")
        else:
            self.annotation_ids.add(annotation_id)
            return annotation_id
        if self.new_ids is None:
            self.new_ids = filterfalse(set(table.ids).__contains__, count(1))
        return next(self.new_ids)

    def _objects(
        self,
        entries: Iterable[tuple[int, Entry]],
        image_id: int,
        size: Size,
        categories: Categories,
        labels: Mapping[int, int],
    ) -> Iterator[ObjectEntry]:
        for annotation_id, entry in entries:
            where = f"annotation {_shown_id(entry, annotation_id)}"
            self.report.place = (image_id, entry)
            category_id = id_number(entry.get("category_id"))
            if category_id is None or category_id not in labels:
                self.report.add(Fault.UNKNOWN_CATEGORY, where, brief(entry.get("category_id")))
                continue
            label, note = labels[category_id], partial(self._note, where)
            is_crowd = read_crowd(entry, note)
            ignored = is_crowd and self.crowd == "ignore"
            item = read_object(entry, annotation_id, label, size, note, need_masks=self.need_masks, is_crowd=ignored)
            if item is not None:
                self.num_crowds += is_crowd
                schema = categories.schemas[label] if categories.schemas else None
                keypoints = None if item.ignore else read_keypoints(entry, schema, size, note)
                yield item if keypoints is None else replace(item, keypoints=keypoints)

    def _note(self, where: str, fault: Fault, detail: str) -> None:
        self.report.add(fault, where, detail)

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


def _shown_id(entry: Entry, number: int) -> str:
    """An id for messages: as the file has it, if it is text."""
    stated = entry.get("id")
    return one_line(stated) if isinstance(stated, str) else str(number)
