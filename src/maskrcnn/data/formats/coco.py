"""COCO's JSON in the layouts and dialects of its exporters: COCO and LVIS, Roboflow, CVAT, COCO Annotator.

A file for each split, beside the images (Roboflow's `train/_annotations.coco.json`) or in `annotations/` (CVAT's and
COCO's `instances_train.json`). Classes are joined by name, ids are numbered anew. Dialects that are understood:
Roboflow's first category, a group without objects, is left out; COCO Annotator's deleted annotations too, and its
`isbbox` annotations are boxes; LVIS 1 names its images by `coco_url` alone. CVAT marks every bitmap as a crowd:
`data.crowd` decides what that means.
"""

from __future__ import annotations

from typing import Any

from maskrcnn.data.coco_annotations import Annotations
from maskrcnn.data.formats.content import ContentBuilder, Json, LabelContent, add_class_fields, is_class_name
from maskrcnn.data.formats.json_files import json_files
from maskrcnn.data.formats.listing import Listing, folder_of, split_of, stem_of
from maskrcnn.data.formats.renumbering import Renumbering
from maskrcnn.data.formats.shapes import entries
from maskrcnn.data.report import Fault
from maskrcnn.json_values import id_number
from maskrcnn.text import brief

LOOKED_FOR = "COCO's JSON (images, annotations, categories)"


def recognise(listing: Listing) -> bool:
    return any(is_coco(listing.peek(name)) for name in listing.labels(".json")[:5])


def is_coco(content: Any) -> bool:
    """Images, annotations and categories, each a list; not the panoptic form, which has segments."""
    if not isinstance(content, dict):
        return False
    lists = [content.get(name) for name in ("images", "annotations", "categories")]
    if not all(isinstance(value, list | Annotations) for value in lists):
        return False
    first = entries(lists[1][:1]) if isinstance(lists[1], Annotations) else entries(lists[1])[:1]
    return not any("segments_info" in entry for entry in first)


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    classes: dict[str, None] = {}
    for name, content in json_files(listing, builder, is_coco):
        classes.update(dict.fromkeys(_read_file(listing, name, content, builder)))
        if content.get("unlabelled") == "void":
            builder.unlabelled = "void"
    builder.classes = list(classes)
    return builder.content()


def _read_file(listing: Listing, name: str, content: Json, builder: ContentBuilder) -> list[str]:
    """Everything of one file; returns its classes in their order."""
    names = {id_number(entry.get("id")): entry.get("name") for entry in entries(content["categories"])}
    named = Renumbering({i: name for i, name in names.items() if i is not None and is_class_name(name)})
    add_class_fields(entries(content["categories"]), builder)
    annotations = [entry for entry in entries(content["annotations"]) if entry.get("deleted") is not True]
    split = split_of(name) or split_of(f"{stem_of(name).rpartition('_')[2]}/x")
    images: dict[int | None, int] = {}
    for entry in entries(content["images"]):
        images.setdefault(id_number(entry.get("id")), _add_image(listing, name, named.of(entry), split, builder))
    for number, entry in enumerate(annotations):
        where = f"{name}: annotation {brief(entry.get('id', number))}"
        image, label = images.get(id_number(entry.get("image_id"))), names.get(id_number(entry.get("category_id")))
        if image is None:
            builder.fault(Fault.UNKNOWN_IMAGE, where, brief(entry.get("image_id")))
        elif label is None:
            builder.fault(Fault.UNKNOWN_CATEGORY, where, brief(entry.get("category_id")))
        else:
            builder.add_entry(image, label, _plain(entry), where)
    return [label for label in _used(content["categories"], annotations) if is_class_name(label)]


def _add_image(listing: Listing, name: str, entry: Json, split: str, builder: ContentBuilder) -> int:
    stated = entry.get("file_name") or entry.get("coco_url")
    picture = listing.picture(stated, folder_of(name)) if isinstance(stated, str) else ""
    kept = {key: value for key, value in entry.items() if key not in ("id", "file_name", "split")}
    return builder.add_image(
        picture, None, split, **{key: value for key, value in kept.items() if isinstance(key, str)}
    )


def _plain(entry: Json) -> Json:
    """An annotation as COCO has it."""
    if entry.get("isbbox") is True:
        return {key: value for key, value in entry.items() if key != "segmentation"}
    return entry


def _used(categories: Any, annotations: list[Json]) -> list[Any]:
    """Class names; without Roboflow's first category, an empty one that stands above all others."""
    used = {id_number(entry.get("category_id")) for entry in annotations}
    listed = entries(categories)
    parents = {entry.get("name"): entry.get("supercategory") for entry in listed if isinstance(entry.get("name"), str)}

    def is_group(entry: Json) -> bool:
        name = entry.get("name")
        others = {repr(parent) for other, parent in parents.items() if other != name}
        return parents.get(name) == "none" and others == {repr(name)} and id_number(entry.get("id")) not in used

    return [entry.get("name") for entry in listed if not isinstance(entry.get("name"), str) or not is_group(entry)]
