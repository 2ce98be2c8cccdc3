"""Label formats: a folder or file of any known form becomes COCO content in memory, for the one reader of it.

One file for each form, with `recognise(listing)` and `read(listing)`; `FORMATS` is the complete table. What is wrong
with a single file or shape is reported, never an error; what the content then holds is checked by `data/coco.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.data.coco_annotations import LARGE, Annotations, begins_as_coco, load_coco
from maskrcnn.data.formats import (
    ade20k,
    cityscapes,
    coco,
    colour_masks,
    cvat,
    geojson,
    label_images,
    label_studio,
    labelme,
    labelme_xml,
    mapillary,
    object_masks,
    open_images,
    panoptic,
    segment_anything,
    supervisely,
    via,
    voc,
    yolo,
)
from maskrcnn.data.formats.coco_files import is_coco
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.listing import Listing
from maskrcnn.data.formats.naming import Naming
from maskrcnn.data.formats.shapes import entries
from maskrcnn.data.report import DataReport
from maskrcnn.errors import UserError


@dataclass(frozen=True)
class Format:
    """A form of labels.

    Attributes:
        looked_for: what it is known by, for messages.
        recognise: whether a folder or file holds this form, from its names and first files.
        read: all of it as COCO content.
        has_pictures: whether pictures lie there that nobody can tell from images without labels: masks, thumbnails.
    """

    looked_for: str
    recognise: Callable[[Listing], bool]
    read: Callable[[Listing], LabelContent]
    has_pictures: bool


def _of(module: ModuleType, *, has_pictures: bool = False) -> Format:
    return Format(module.LOOKED_FOR, module.recognise, module.read, has_pictures)


FORMATS: dict[str, Format] = {
    "coco": _of(coco),
    "labelme": _of(labelme),
    "yolo": _of(yolo),
    "label-images": _of(label_images, has_pictures=True),
    "object-masks": _of(object_masks, has_pictures=True),
    "voc": _of(voc, has_pictures=True),
    "cvat": _of(cvat),
    "label-studio": _of(label_studio),
    "via": _of(via),
    "panoptic": _of(panoptic, has_pictures=True),
    "cityscapes": _of(cityscapes, has_pictures=True),
    "colour-masks": _of(colour_masks, has_pictures=True),
    "supervisely": _of(supervisely, has_pictures=True),
    "geojson": _of(geojson, has_pictures=True),
    "labelme-xml": _of(labelme_xml, has_pictures=True),
    "mapillary": _of(mapillary, has_pictures=True),
    "open-images": _of(open_images, has_pictures=True),
    "ade20k": _of(ade20k, has_pictures=True),
    "sa-1b": _of(segment_anything),
}
"""Every form, by the name that commands take."""

Labels = Path | LabelContent
"""A COCO file, or what was read from labels of another form."""


def recognise(path: Path) -> str:
    """The name of the form that a folder or file holds.

    Raises:
        UserError: none is found, or several; the message says what was looked for.
    """
    return _recognise(Listing(path))


def read_labels(path: Path, form: str | None = None, naming: Naming | None = None) -> LabelContent:
    """The labels of a folder or file; of the form named, or of the one that is recognised.

    Raises:
        UserError: there is no such form, none or several are found, or `naming` does not fit.
    """
    naming = naming or Naming()
    listing = Listing(path, naming.colours, naming.keypoints)
    name = form or _recognise(listing)
    if name not in FORMATS:
        raise UserError(f"{name}: expected a form of labels, one of {', '.join(FORMATS)}")
    return naming.apply(replace(FORMATS[name].read(listing), form=name))


def open_labels(path: Path, images: Path | None = None, naming: Naming | None = None) -> Labels:
    """The labels that a user names: COCO's file with its images, or a folder or file of any form.

    Args:
        path: what the user named.
        images: the folder of a COCO file's images; None: `images` beside it, and if that is not there, they are looked
            for as those of any form.
        naming: what to call things.

    Raises:
        UserError: none or several forms are found, or `naming` does not fit.
    """
    naming = naming or Naming()
    if images is None and not (path.parent / "images").is_dir():
        return read_labels(path, naming=naming)
    if not path.is_file() or not is_coco_file(path):
        return read_labels(path, naming=naming)
    return path if naming.classes is None else naming.apply(coco_content(path, images or path.parent / "images"))


def coco_content(path: Path, images: Path) -> LabelContent:
    """A COCO file as it is, with its images in a folder.

    Raises:
        UserError: it is no COCO file.
    """
    content = load_coco(path)
    if not is_coco(content):
        raise UserError(f"{path}: expected {coco.LOOKED_FOR}, found something else; check the file")
    large = ("annotations",) if isinstance(content["annotations"], Annotations) else ()
    lists = {name: entries(content[name]) for name in ("images", "annotations", "categories") if name not in large}
    return LabelContent(path, images, {**content, **lists}, DataReport(str(path)), "coco")


def as_content(labels: Labels, images: Path | None) -> LabelContent:
    """What `open_labels` gave, with all that the labels say; a COCO file is opened."""
    if isinstance(labels, LabelContent):
        return labels
    return coco_content(labels, images or labels.parent / "images")


def read_any(
    labels: Labels, images: Path | None, read: Callable[..., LabelledImages] = read_coco, **settings: Any
) -> LabelledImages:
    """What `open_labels` gave, through the one reader of COCO content."""
    if isinstance(labels, LabelContent):
        return labelled_images(labels, read, **settings)
    return read(labels, images or labels.parent / "images", **settings)


def is_coco_file(path: Path) -> bool:
    """Whether a file is COCO's, as far as it can be told: also one that is broken and in no other form.

    Raises:
        UserError: there is no such file.
    """
    if path.is_file() and path.stat().st_size > LARGE and begins_as_coco(path):  # not parsed only to be recognised
        return True
    listing = Listing(path)
    is_coco = FORMATS["coco"].recognise(listing)
    return is_coco or not any(form.recognise(listing) for form in FORMATS.values())


def labelled_images(
    content: LabelContent, read: Callable[..., LabelledImages] = read_coco, **settings: Any
) -> LabelledImages:
    """Labels of any form through the one reader of COCO content, `read_coco` or `read_to_measure`, and its settings.

    The report begins with what the reader of the form has met.

    Raises:
        UserError: as the reader, or nothing is left after such a fault, which the message names.
    """
    if not content.coco["categories"] and content.report.lines:
        raise UserError(f"{content.source}: expected objects of a class, found none; {content.report.lines[0]}")
    data = read(content.coco, content.folder, source=content.report.source, **settings)
    data.report.counts.update(content.report.counts)
    data.report.lines[:0] = content.report.lines
    data.report.cases[:0] = content.report.cases
    data.report.notes[:0] = content.report.notes
    data.report.dropped |= content.report.dropped
    return data


def _recognise(listing: Listing) -> str:
    found = [name for name, form in FORMATS.items() if form.recognise(listing)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(
            f"{listing.path}: expected labels of one form, found several: {', '.join(found)}; give the label file "
            "itself, or a folder with one of them"
        )
    looked_for = "; ".join(form.looked_for for form in FORMATS.values())
    raise UserError(f"{listing.path}: expected labels in a known form, found none; looked for {looked_for}")
