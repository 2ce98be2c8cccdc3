"""ADE20K of 2020: a JSON file beside each image, which names a mask file for each object.

https://groups.csail.mit.edu/vision/datasets/ADE20K/. Objects are those of the first
level; parts of objects are not read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from maskrcnn.data.formats.bitmaps import foreground
from maskrcnn.data.formats.content import ContentBuilder, Json, LabelContent
from maskrcnn.data.formats.json_files import first_json, json_files
from maskrcnn.data.formats.listing import Listing, folder_of, split_of
from maskrcnn.data.formats.shapes import entries, mapping
from maskrcnn.data.images import read_values
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.rle import encode_rle
from maskrcnn.text import brief

LOOKED_FOR = "ADE20K (JSON with annotation.object and instance_mask)"


def recognise(listing: Listing) -> bool:
    return any(_is_label_file(listing.peek(name)) for name in first_json(listing))


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    for name, content in json_files(listing, builder, _is_label_file):
        _read_file(listing, name, content["annotation"], builder)
    return builder.content()


def _is_label_file(content: Any) -> bool:
    annotation = mapping(mapping(content).get("annotation"))
    return isinstance(annotation.get("object"), list) and "filename" in annotation


def _read_file(listing: Listing, name: str, annotation: Json, builder: ContentBuilder) -> None:
    picture = listing.picture(str(annotation["filename"]), folder_of(name))
    items = entries(annotation["object"])
    masks = [listing.picture(str(item.get("instance_mask")), folder_of(name)) for item in items]
    drawn = next(filter(listing.has, masks), None)
    image = builder.add_image(picture, listing.size(picture, drawn), split_of(name))
    for number, (item, mask) in enumerate(zip(items, masks, strict=True)):
        if mapping(item.get("parts")).get("part_level", 0) == 0:
            _read_object(listing, item, mask, f"{name}: object {number}", image, builder)


def _read_object(listing: Listing, item: Json, mask: str, where: str, image: int, builder: ContentBuilder) -> None:
    if not listing.has(mask):
        builder.fault(Fault.MASK_FILE, where, f"{brief(item.get('instance_mask'))} is not there")
        return
    try:
        bitmap = foreground(read_values(listing.file(mask)))
    except UserError as error:
        builder.failure(Fault.MASK_FILE, where, error)
        return
    if bitmap.any():
        builder.add_rle(image, item.get("name"), encode_rle(bitmap.astype(np.uint8)), where)
    else:
        builder.fault(Fault.SHAPE_WITHOUT_AREA, where, "its mask is empty")
