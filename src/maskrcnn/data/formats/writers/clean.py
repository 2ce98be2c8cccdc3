"""What the reader of COCO content passed, as COCO content again: every mask is good, every box stated.

What the reader does not look at is kept: fields of image records that group them, and what classes are called besides;
but no NaN and nothing infinite, which JSON cannot say. An area is kept where mask or box do not contradict it, since it
decides what is small, and how far off a keypoint is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from typing import Any

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.coco_areas import wrong_areas
from maskrcnn.data.coco_federated import ABSENT, INCOMPLETE
from maskrcnn.data.coco_keypoints import keypoints_to_coco
from maskrcnn.data.coco_street import FIELD
from maskrcnn.data.formats.content import SPLITS, Json, LabelContent
from maskrcnn.json_values import id_number
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.structures import RLE, Size

_OF_IMAGE = frozenset({"id", "file_name", "height", "width", "split", ABSENT, INCOMPLETE, FIELD})
_OF_CLASS = frozenset({"id", "name", "keypoints", "skeleton", "isthing"})
"""Fields that are stated anew, as they were read, and what is for this package alone."""


def clean_content(data: LabelledImages, content: LabelContent) -> Json:
    """The objects of `data`, with the splits and the other fields of the images and classes of `content`.

    Args:
        data: what the reader made of it.
        content: what was read; of it `images` and `categories` alone are looked at.
    """
    records, labels, images, annotations = _by_id(content.coco["images"]), data.labels, [], []
    unsound = {number for number, _, _ in wrong_areas(labels)}
    for place in range(len(labels)):
        height, width = labels.size(place)
        number = int(labels.image_ids[place])
        record = records.get(number, {})
        named = {"split": record["split"]} if record.get("split") in SPLITS else {}
        image = {"id": number, "file_name": labels.file_name(place), "height": height, "width": width, **named}
        images.append({**image, **_others(record, _OF_IMAGE), **_federated(data, number)})
        for item in labels.objects(place):
            annotations.append(_annotation(data, item, number, (height, width), has_area=item not in unsound))
    stated = _by_id(content.coco["categories"])
    categories = [{**entry, **_others(stated.get(entry["id"], {}), _OF_CLASS)} for entry in data.categories.to_coco()]
    if data.federated is not None:
        frequencies = zip(categories, data.federated.frequencies, strict=True)
        categories = [{**entry, "frequency": said} if said else entry for entry, said in frequencies]
    clean = {"images": images, "annotations": annotations, "categories": categories}
    return {**clean, "unlabelled": "void"} if data.has_void else clean


def without_stuff(content: Json) -> Json:
    """Objects alone, for forms that know nothing else; the classes of stuff go with it."""
    things = [entry for entry in content["categories"] if entry.get("isthing") != 0]
    ids = {entry["id"] for entry in things}
    annotations = [entry for entry in content["annotations"] if entry["category_id"] in ids]
    return {**content, "categories": things, "annotations": annotations}


def _by_id(entries: Sequence[Any]) -> dict[int | None, Json]:
    """Of entries with one id the first, as the reader has it."""
    return {id_number(entry.get("id")): entry for entry in reversed(entries) if isinstance(entry, dict)}


def _others(entry: Json, known: Collection[str]) -> Json:
    return {name: value for name, value in entry.items() if name not in known and _is_json(value)}


def _is_json(value: Any) -> bool:
    """Python's reader takes NaN, and numbers too large, which no other takes."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _federated(data: LabelledImages, image: int) -> Json:
    """Which classes the labels say that an image has not, or not all of (LVIS)."""
    if data.federated is None or image not in data.federated.absent:
        return {}
    lists = {ABSENT: data.federated.absent, INCOMPLETE: data.federated.incomplete}
    return {name: [data.categories.ids[label] for label in of_images[image]] for name, of_images in lists.items()}


def _annotation(data: LabelledImages, item: int, image: int, size: Size, *, has_area: bool) -> Json:
    labels, area = data.labels, float(data.labels.areas[item])
    x1, y1, x2, y2 = labels.boxes[item].tolist()
    mask = labels.mask(item, size)
    entry: Json = {
        "id": int(labels.annotation_ids[item]),
        "image_id": image,
        "category_id": data.categories.ids[int(labels.labels[item])],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "iscrowd": int(labels.ignore[item]),
    }
    largest = math.inf if mask is not None else float(labels.stated_boxes[item, 2:].prod()) + 1  # some round it
    if has_area and 0 < area <= largest:  # NaN is not
        entry["area"] = area
    if (keypoints := labels.keypoints_of(item)) is not None:
        entry |= keypoints_to_coco(keypoints)
    if mask is None:
        return entry
    rings = rle_to_coco(mask) if isinstance(mask, RLE) else [ring.reshape(-1).tolist() for ring in mask.rings]
    return {**entry, "segmentation": rings}
