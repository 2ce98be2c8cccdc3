"""SA-1B, the data of Segment Anything: a JSON file for each image with COCO's run lengths, without classes.

https://ai.meta.com/datasets/segment-anything/. All objects are of one class, "object".
"""

from __future__ import annotations

from typing import Any

from maskrcnn.data.formats.content import UNNAMED, ContentBuilder, Json, LabelContent
from maskrcnn.data.formats.json_files import first_json, json_files
from maskrcnn.data.formats.listing import Listing, folder_of, split_of
from maskrcnn.data.formats.shapes import entries, mapping, stated_size
from maskrcnn.text import brief

LOOKED_FOR = "SA-1B (JSON with image and annotations for each image)"


def recognise(listing: Listing) -> bool:
    return any(_is_label_file(listing.peek(name)) for name in first_json(listing))


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root, [UNNAMED])
    for name, content in json_files(listing, builder, _is_label_file):
        _read_file(listing, name, content, builder)
    return builder.content()


def _is_label_file(content: Any) -> bool:
    image = mapping(mapping(content).get("image"))
    return "file_name" in image and isinstance(content.get("annotations"), list)


def _read_file(listing: Listing, name: str, content: Json, builder: ContentBuilder) -> None:
    record = content["image"]
    picture = listing.picture(str(record["file_name"]), folder_of(name))
    stated = stated_size(record.get("height"), record.get("width"))
    image = builder.add_image(picture, listing.size(picture, stated) or stated, split_of(name))
    for number, entry in enumerate(entries(content["annotations"])):
        builder.add_entry(image, UNNAMED, entry, f"{name}: annotation {brief(entry.get('id', number))}")
