"""COCO panoptic: a JSON file and a PNG for each image in which a colour is a segment.

https://cocodataset.org/#format-data: a segment's id is R + 256 G + 256^2 B, 0 is void: nobody knows what is there.
Classes keep `isthing`, and crowds stay crowds. The pictures lie in a folder of the JSON file's name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from maskrcnn.data.coco_annotations import Annotations
from maskrcnn.data.formats import cityscapes, mapillary
from maskrcnn.data.formats.bitmaps import Values
from maskrcnn.data.formats.coco_files import why_left_out
from maskrcnn.data.formats.content import ContentBuilder, Json, LabelContent, add_class_fields, is_class_name
from maskrcnn.data.formats.json_files import first_json
from maskrcnn.data.formats.listing import Listing, folder_of, split_folder_of, split_of
from maskrcnn.data.formats.shapes import entries
from maskrcnn.data.images import read_values
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number
from maskrcnn.masks.regions import labelled_regions
from maskrcnn.structures.masks import IntArray
from maskrcnn.text import brief

LOOKED_FOR = "COCO panoptic (annotations with segments_info)"


def recognise(listing: Listing) -> bool:
    found = (_is_panoptic(listing.peek(name)) and not why_left_out(listing, name) for name in first_json(listing))
    others = (form.recognise(listing) for form in (mapillary, cityscapes))  # whose folders have such files too
    return any(found) and not any(others)


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    classes: dict[str, None] = {}
    for name in listing.labels(".json"):
        if _is_panoptic(content := listing.peek(name)):
            classes.update(dict.fromkeys(_read_file(listing, name, content, builder)))
        else:
            builder.fault(Fault.LABEL_FILE_OTHER, name)
    builder.classes, builder.unlabelled = list(classes), "void"
    return builder.content()


def _is_panoptic(content: Any) -> bool:
    annotations = content.get("annotations") if isinstance(content, dict) else []
    first = entries(annotations[:1]) if isinstance(annotations, list | Annotations) else []
    return bool(first) and isinstance(first[0].get("segments_info"), list)


def _read_file(listing: Listing, name: str, content: Json, builder: ContentBuilder) -> list[str]:
    """Everything of one file; returns its classes."""
    categories = entries(content.get("categories"))
    names = {id_number(entry.get("id")): entry.get("name") for entry in categories}
    add_class_fields(categories, builder)
    images = {id_number(entry.get("id")): entry for entry in entries(content.get("images"))}
    folder = split_folder_of(name)
    split = split_of(name) or split_of(f"{folder}/x")
    for number, entry in enumerate(content["annotations"]):
        if not isinstance(entry, dict):
            continue
        image = images.get(id_number(entry.get("image_id")))
        if image is None or not isinstance(image.get("file_name"), str):
            builder.fault(Fault.UNKNOWN_IMAGE, f"{name}: annotation {number}", brief(entry.get("image_id")))
            continue
        picture = listing.picture(image["file_name"], folder_of(name), folder)
        mask = _mask_file(listing, name, entry)
        place = builder.add_image(picture, listing.size(picture, mask), split)
        _read_segments(listing, mask, entry, names, place, builder)
    return [label for label in names.values() if is_class_name(label)]


def _mask_file(listing: Listing, name: str, entry: Json) -> str:
    stated = str(entry.get("file_name"))
    beside = f"{name.rpartition('.')[0]}/{stated}"
    return beside if listing.has(beside) else listing.picture(stated, folder_of(name))


def _read_segments(
    listing: Listing, mask: str, entry: Json, names: dict[int | None, Any], image: int, builder: ContentBuilder
) -> None:
    try:
        regions = dict(labelled_regions(segment_ids(read_values(listing.file(mask)), mask)))
    except UserError as error:
        builder.failure(Fault.MASK_FILE, mask, error)
        return
    for segment in entries(entry.get("segments_info")):
        number, category = id_number(segment.get("id")), id_number(segment.get("category_id"))
        label, where = names.get(category), f"{mask}: segment {brief(segment.get('id'))}"
        if category not in names:
            builder.fault(Fault.UNKNOWN_CATEGORY, where, brief(segment.get("category_id")))
        elif number in regions:
            builder.add_rle(image, label, regions[number], where, crowd=segment.get("iscrowd") == 1)
        else:
            builder.fault(Fault.SHAPE_WITHOUT_AREA, where, "no pixel has its colour")


def segment_ids(values: Values, where: str) -> IntArray:
    """(H, W) ids of the colours.

    Raises:
        UserError: the picture has no colours.
    """
    if values.ndim != 3 or values.shape[2] < 3:
        raise UserError(f"{where}: expected colours, R + 256 G + 256^2 B, got one number for a pixel")
    red, green, blue = (values[..., channel].astype(np.int64) for channel in range(3))
    return np.asarray(red + (green << 8) + (blue << 16))
