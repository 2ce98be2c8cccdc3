"""COCO's JSON in the layouts and dialects of its exporters: COCO and LVIS, Roboflow, CVAT, COCO Annotator.

A file for each split, beside the images (Roboflow's `train/_annotations.coco.json`) or in `annotations/` (CVAT's and
COCO's `instances_train.json`). Classes are joined by name, ids are numbered anew. Dialects that are understood:
Roboflow's first category, a group without objects, is left out; LVIS 1 names its images by `coco_url` alone; COCO
Annotator's as `coco_annotations.py` says. CVAT marks every bitmap as a crowd: `data.crowd` decides what that means.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from maskrcnn.data.coco_annotations import Annotations, joined
from maskrcnn.data.coco_owners import looked_up
from maskrcnn.data.formats.coco_files import is_coco, label_files
from maskrcnn.data.formats.content import ContentBuilder, Json, LabelContent, add_class_fields, is_class_name
from maskrcnn.data.formats.json_files import first_json, json_files
from maskrcnn.data.formats.listing import Listing, folder_of, split_folder_of, split_of
from maskrcnn.data.formats.renumbering import Renumbering
from maskrcnn.data.formats.shapes import entries
from maskrcnn.data.report import Fault
from maskrcnn.json_values import id_number
from maskrcnn.structures.masks import IntArray
from maskrcnn.text import brief

LOOKED_FOR = "COCO's JSON (images, annotations, categories)"

_NOT_KEPT = ("id", "file_name", "split")


@dataclass(frozen=True)
class _Contents:
    """What the entries of one file mean.

    Attributes:
        name: of the file.
        images: the new id of each image, by its own.
        classes: the name of each class, by its id; it may be anything.
    """

    name: str
    images: dict[int | None, int]
    classes: dict[int | None, Any]


@dataclass(frozen=True)
class _Stored:
    """The annotations of a large file, which stay in it.

    Attributes:
        annotations: all N of them.
        images: (N,) the new id of each one's image; -1: it is left out.
        classes: the names of classes, by their ids in the file.
    """

    annotations: Annotations
    images: IntArray
    classes: dict[int, str]


def recognise(listing: Listing) -> bool:
    return any(is_coco(listing.peek(name)) for name in first_json(listing))


def _is_known(content: Any) -> bool:
    """Whether it is COCO's, or a list of images alone, as `image_info_test2017.json` is."""
    is_list = isinstance(content, dict) and isinstance(content.get("images"), list) and "annotations" not in content
    return is_coco(content) or is_list


def read(listing: Listing) -> LabelContent:
    builder, stored = ContentBuilder(listing.path, listing.root), list[_Stored]()
    classes: dict[str, None] = {}
    for name, content in json_files(listing, builder, _is_known, label_files(listing, builder)):
        if not is_coco(content):
            builder.report.note(f"{name}: left out; it names images without labels")
            continue
        classes.update(dict.fromkeys(_read_file(listing, name, content, builder, stored)))
        if content.get("unlabelled") == "void":
            builder.unlabelled = "void"
    builder.classes = list(classes)
    found = builder.content()
    return replace(found, coco=_with_stored(found.coco, stored)) if stored else found


def _read_file(listing: Listing, name: str, content: Json, builder: ContentBuilder, stored: list[_Stored]) -> list[str]:
    """Everything of one file; returns its classes in their order."""
    categories, annotations = entries(content["categories"]), content["annotations"]
    meant = _Contents(name, {}, {id_number(entry.get("id")): entry.get("name") for entry in categories})
    named = Renumbering({i: label for i, label in meant.classes.items() if i is not None and is_class_name(label)})
    add_class_fields(categories, builder)
    for entry in entries(content["images"]):
        image = _add_image(listing, name, named.of(entry), builder)
        meant.images.setdefault(id_number(entry.get("id")), image)
    if isinstance(annotations, Annotations):
        stored.append(_read_stored(annotations, meant, builder))
        return _class_names(categories, set(annotations.category_ids))
    listed = entries(annotations)
    for number, entry in enumerate(listed):
        _add_annotation(number, entry, meant, builder)
    return _class_names(categories, {id_number(entry.get("category_id")) for entry in listed})


def _add_image(listing: Listing, name: str, entry: Json, builder: ContentBuilder) -> int:
    stated = entry.get("file_name") or entry.get("coco_url")
    picture = listing.picture(stated, folder_of(name), split_folder_of(name)) if isinstance(stated, str) else ""
    kept = {key: value for key, value in entry.items() if isinstance(key, str) and key not in _NOT_KEPT}
    return builder.add_image(picture, None, split_of(name) or split_of(f"{split_folder_of(name)}/x"), **kept)


def _add_annotation(number: int, entry: Json, meant: _Contents, builder: ContentBuilder) -> None:
    where = f"{meant.name}: annotation {brief(entry.get('id', number))}"
    image = meant.images.get(id_number(entry.get("image_id")))
    label = meant.classes.get(id_number(entry.get("category_id")))
    if image is None:
        builder.fault(Fault.UNKNOWN_IMAGE, where, brief(entry.get("image_id")))
    elif label is None:
        builder.fault(Fault.UNKNOWN_CATEGORY, where, brief(entry.get("category_id")))
    else:
        builder.add_entry(image, label, entry, where)


def _read_stored(annotations: Annotations, meant: _Contents, builder: ContentBuilder) -> _Stored:
    """As `_add_annotation`, of all annotations of a large file at once; one by one only those that cannot be used."""
    classes = {i: label for i, label in meant.classes.items() if i is not None and is_class_name(label)}
    images = looked_up(np.asarray(annotations.image_ids), {i: n for i, n in meant.images.items() if i is not None})
    images[~np.isin(np.asarray(annotations.category_ids), list(classes))] = -1
    for place in np.flatnonzero(images < 0).tolist():
        if isinstance(entry := annotations[place], dict):
            _add_annotation(place, entry, meant, builder)
    return _Stored(annotations, images, classes)


def _with_stored(coco: Json, stored: Sequence[_Stored]) -> Json:
    """The content of small files, with the annotations of large ones after their own."""
    numbers = {entry["name"]: entry["id"] for entry in coco["categories"]}
    parts, count = [Annotations.of_list(coco["annotations"])], len(coco["annotations"])
    for file in stored:
        keep, classes = file.images >= 0, {i: numbers[label] for i, label in file.classes.items() if label in numbers}
        labels = looked_up(np.asarray(file.annotations.category_ids), classes)
        ids = count + np.cumsum(keep)
        parts.append(file.annotations.chosen(keep, ids=ids, image_ids=file.images, category_ids=labels))
        count += len(parts[-1])
    return {**coco, "annotations": joined(parts if len(parts[0]) else parts[1:])}


def _class_names(categories: list[Json], used: Collection[int | None]) -> list[str]:
    """Without Roboflow's first category, which stands above all others and is not among the ids `used`."""
    parents = {
        entry.get("name"): entry.get("supercategory") for entry in categories if isinstance(entry.get("name"), str)
    }

    def is_group(entry: Json) -> bool:
        name = entry.get("name")
        others = {repr(parent) for other, parent in parents.items() if other != name}
        return parents.get(name) == "none" and others == {repr(name)} and id_number(entry.get("id")) not in used

    return [name for entry in categories if is_class_name(name := entry.get("name")) and not is_group(entry)]
