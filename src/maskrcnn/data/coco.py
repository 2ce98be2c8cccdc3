"""Reader of COCO instance annotations.

The file is checked while it is read, once. What is wrong with a single image or annotation is repaired or dropped by
the rule `report.Fault` states, and written down in a `DataReport`; only a file that is no COCO file at all, or of which
no image is left, is an error. Images without annotations are kept: they are background to learn from.

Labels are absolute pixels of the upright picture; see `images.py` for labels made on a picture before its EXIF
orientation was applied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, filterfalse
from pathlib import Path
from typing import Any

import torch

from maskrcnn.data.coco_keypoints import read_keypoints
from maskrcnn.data.coco_objects import read_object
from maskrcnn.data.file_names import find_image
from maskrcnn.data.images import MAX_PIXELS, ImageHeader, read_header
from maskrcnn.data.report import DataReport, Fault
from maskrcnn.structures.labels import ImageEntry, LabelStore, ObjectEntry, StoreBuilder
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number, load_json, whole_number
from maskrcnn.structures import Categories, Size
from maskrcnn.text import brief, one_line

Entry = Mapping[str, Any]

ONE_CLASS = Categories((1,), ("object",))


@dataclass(frozen=True)
class LabelledImages:
    """A data set: images in a folder and what is known about them.

    Attributes:
        folder: the images' file names are relative to this.
        categories: what the labels mean.
        labels: image sizes, file names, objects.
        report: what was wrong with the annotation file.
    """

    folder: Path
    categories: Categories
    labels: LabelStore
    report: DataReport


def without_classes(data: LabelledImages) -> LabelledImages:
    """The same with one class, "object", for all: what an RPN alone can tell apart."""
    labels = replace(data.labels, labels=torch.zeros_like(data.labels.labels))
    return replace(data, categories=ONE_CLASS, labels=labels)


def read_coco(
    annotations: Path,
    images: Path,
    *,
    check_files: bool = False,
    max_pixels: int = MAX_PIXELS,
    group_by: str = "",
    need_masks: bool = True,
) -> LabelledImages:
    """Read a COCO instances file.

    Args:
        annotations: the JSON file.
        images: the folder its file names are relative to.
        check_files: also open each image's header, and let the file's size win over the annotations'.
        max_pixels: images that claim more are dropped.
        group_by: field of the image records whose values tell kinds of images apart; empty: one kind.
        need_masks: False: objects without a usable mask count by their boxes, instead of being ignored.

    Raises:
        UserError: not a COCO instances file, or none of its images is usable.
    """
    return _CocoReader(annotations, images, check_files, max_pixels, group_by, need_masks).read()


class _CocoReader:
    """One pass over one file."""

    def __init__(
        self, annotations: Path, folder: Path, check_files: bool, max_pixels: int, group_by: str, need_masks: bool
    ) -> None:
        self.path = annotations
        self.folder = folder
        self.check_files = check_files
        self.max_pixels = max_pixels
        self.group_by = group_by
        self.need_masks = need_masks
        self.group_numbers: dict[str, int] = {}
        self.report = DataReport(str(annotations))
        self.image_ids: set[int] = set()
        self.annotation_ids: set[int] = set()
        self.file_names: set[str] = set()
        self.new_ids: Iterator[int] = count(1)

    def read(self) -> LabelledImages:
        content = load_json(self.path)
        lists = {name: self._list(content, name) for name in ("images", "annotations", "categories")}
        categories = self._categories(lists["categories"])
        images = list(self._images(lists["images"]))
        by_image = self._grouped(lists["annotations"], {image.image_id for image in images})
        builder = StoreBuilder()
        for image in images:
            builder.add_image(image, self._objects(by_image.pop(image.image_id, []), image.size, categories))
        labels = builder.build()
        self._count(labels)
        return LabelledImages(self.folder, categories, labels, self.report)

    def _list(self, content: Any, name: str) -> list[Any]:
        values = content.get(name) if isinstance(content, dict) else None
        if isinstance(values, list):
            return values
        raise UserError(
            f"{self.path}: expected a COCO instances file, an object with the lists images, annotations and "
            f"categories, but found no list {name!r}; check that this is the right file"
        )

    # --- categories ---------------------------------------------------------------------------------------------

    def _categories(self, entries: list[Any]) -> Categories:
        if not entries:
            raise UserError(f"{self.path}: expected at least one entry in categories, got none; name the classes")
        for entry in entries:
            if _id_of(entry) is None or not _is_printable(entry.get("name")):
                raise UserError(
                    f"{self.path}: expected categories with an id and a printable name, "
                    f"got {brief(entry)}; correct this entry"
                )
        try:
            return Categories.from_coco({**entry, "id": _id_of(entry)} for entry in entries)
        except UserError as error:
            raise UserError(f"{self.path}: {one_line(str(error))}") from None

    # --- images -------------------------------------------------------------------------------------------------

    def _images(self, entries: list[Any]) -> Iterator[ImageEntry]:
        names = (entry.get("file_name") for entry in entries if isinstance(entry, dict))
        self.file_names = {name for name in names if isinstance(name, str)}
        for number, entry in enumerate(entries):
            image_id = _id_of(entry)
            if image_id is None:
                self.report.add(Fault.IMAGE_MALFORMED, f"image number {number}", brief(entry))
            elif image_id in self.image_ids:
                self.report.add(Fault.IMAGE_ID_TWICE, f"image {image_id}", brief(entry))
            else:
                self.image_ids.add(image_id)
                if (image := self._image(image_id, entry)) is not None:
                    yield image

    def _image(self, image_id: int, entry: Entry) -> ImageEntry | None:
        stated_name = entry.get("file_name")
        if not isinstance(stated_name, str):
            self.report.add(Fault.IMAGE_MALFORMED, f"image {image_id}", brief(entry))
            return None
        where = f"image {_shown_id(entry, image_id)} ({one_line(stated_name)})"
        if isinstance(entry["id"], str):
            self.report.add(Fault.IMAGE_ID_TEXT, where, str(image_id))
        file_name = self._file_name(stated_name, where)
        if file_name is None:
            return None
        stated = self._stated_size(entry, where)
        if stated is not None and not self.check_files:
            return ImageEntry(image_id, file_name, stated, self._group(entry))
        try:
            header = read_header(self.folder / file_name, self.max_pixels)
        except UserError as error:
            self.report.add(Fault.IMAGE_FILE_BROKEN, where, str(error))
            return None
        return ImageEntry(image_id, file_name, self._checked_size(stated, header, where), self._group(entry))

    def _file_name(self, stated: str, where: str) -> str | None:
        """The file a name means; the end of a name must not mean what another image states or means already."""
        name = find_image(self.folder, stated)
        if name is None:
            self.report.add(Fault.IMAGE_FILE_MISSING, where, f"in {self.folder}")
        elif name == stated:
            return name
        elif name in self.file_names:
            self.report.add(Fault.IMAGE_FILE_TWICE, where, name)
        else:
            self.file_names.add(name)
            self.report.add(Fault.IMAGE_NAME_END, where, name)
            return name
        return None

    def _group(self, entry: Entry) -> int:
        """Number of the image's kind; lists and objects tell as little as a missing field."""
        value = entry.get(self.group_by)
        kind = repr(value) if isinstance(value, str | int | float) else ""
        return self.group_numbers.setdefault(kind, len(self.group_numbers))

    def _stated_size(self, entry: Entry, where: str) -> Size | None:
        height, width = whole_number(entry.get("height")), whole_number(entry.get("width"))
        if height and width and height > 0 and width > 0 and height * width <= self.max_pixels:
            return height, width
        detail = f"width {brief(entry.get('width'))}, height {brief(entry.get('height'))}"
        self.report.add(Fault.IMAGE_SIZE_MISSING, where, detail)
        return None

    def _checked_size(self, stated: Size | None, header: ImageHeader, where: str) -> Size:
        if stated is None or stated == header.size:
            return header.size
        detail = f"stated {stated[1]} x {stated[0]}, file {header.size[1]} x {header.size[0]}"
        if header.is_labelled_raw(stated):
            self.report.add(Fault.IMAGE_LABELLED_RAW, where, detail)
            return stated
        self.report.add(Fault.IMAGE_SIZE_DISAGREES, where, detail)
        return header.size

    # --- annotations --------------------------------------------------------------------------------------------

    def _grouped(self, entries: list[Any], kept_images: set[int]) -> dict[int, list[tuple[int, Entry]]]:
        """Annotations with their ids, by the image they belong to."""
        by_image = defaultdict[int, list[tuple[int, Entry]]](list)
        taken = {_id_of(entry) for entry in entries}
        self.new_ids = filterfalse(taken.__contains__, count(1))
        for number, entry in enumerate(entries):
            image_id = id_number(entry.get("image_id")) if isinstance(entry, dict) else None
            if image_id is None:
                self.report.add(Fault.ANNOTATION_MALFORMED, f"annotation number {number}", brief(entry))
            elif image_id in kept_images:
                by_image[image_id].append((self._annotation_id(number, entry), entry))
            else:
                fault = Fault.DROPPED_IMAGE if image_id in self.image_ids else Fault.UNKNOWN_IMAGE
                self.report.add(fault, f"annotation {brief(entry.get('id'))}", f"image {image_id}")
        return by_image

    def _annotation_id(self, number: int, entry: Entry) -> int:
        """The annotation's own id where it has one that no other has."""
        annotation_id = _id_of(entry)
        if annotation_id is None:
            self.report.add(Fault.ANNOTATION_ID_MISSING, f"annotation number {number}", brief(entry.get("id")))
        elif annotation_id in self.annotation_ids:
            self.report.add(Fault.ANNOTATION_ID_TWICE, f"annotation {annotation_id}")
        else:
            self.annotation_ids.add(annotation_id)
            return annotation_id
        return next(self.new_ids)

    def _objects(
        self, entries: Iterable[tuple[int, Entry]], size: Size, categories: Categories
    ) -> Iterator[ObjectEntry]:
        labels: dict[int | None, int] = {category_id: label for label, category_id in enumerate(categories.ids)}
        for annotation_id, entry in entries:
            where = f"annotation {_shown_id(entry, annotation_id)}"
            label = labels.get(id_number(entry.get("category_id")))
            if label is None:
                self.report.add(Fault.UNKNOWN_CATEGORY, where, brief(entry.get("category_id")))
                continue
            note = partial(self._note, where)
            item = read_object(entry, annotation_id, label, size, note, need_masks=self.need_masks)
            if item is not None:
                schema = categories.schemas[label] if categories.schemas else None
                yield item if item.ignore else replace(item, keypoints=read_keypoints(entry, schema, size, note))

    def _note(self, where: str, fault: Fault, detail: str) -> None:
        self.report.add(fault, where, detail)

    def _count(self, labels: LabelStore) -> None:
        if not len(labels):
            first = self.report.lines[0] if self.report.lines else f"{self.path}: the list images is empty"
            raise UserError(
                f"{self.path}: expected at least one usable image in {self.folder}, got none (--images names another "
                f"folder); {first}"
            )
        self.report.num_images = len(labels)
        self.report.num_ignored = int(labels.ignore.sum())
        self.report.num_objects = labels.num_objects - self.report.num_ignored


def _is_printable(name: Any) -> bool:
    return isinstance(name, str) and name.isprintable() and not name.isspace() and name != ""


def _shown_id(entry: Entry, number: int) -> str:
    """An id for messages: as the file has it, if it is text."""
    stated = entry.get("id")
    return one_line(stated) if isinstance(stated, str) else str(number)


def _id_of(entry: Any) -> int | None:
    return id_number(entry.get("id")) if isinstance(entry, dict) else None
