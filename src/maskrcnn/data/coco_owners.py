"""Which image each annotation of a COCO file belongs to, and which id it has: of all at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, filterfalse
from typing import Any

import numpy as np

from maskrcnn.data.coco_annotations import MISSING, Annotations
from maskrcnn.data.coco_images import ImageReader
from maskrcnn.data.report import DataReport, Fault
from maskrcnn.structures.labels import ImageEntry
from maskrcnn.structures.masks import BoolArray, IntArray
from maskrcnn.text import brief, one_line


@dataclass(frozen=True)
class Owned:
    """The annotations (n,) of usable images, by image, and of each image in the order of the file.

    Attributes:
        places: in the list of annotations.
        images: number of each one's image among the usable ones.
        ids: no two the same.
    """

    places: IntArray
    images: IntArray
    ids: IntArray


def owned(table: Annotations, images: Sequence[ImageEntry], reader: ImageReader, report: DataReport) -> Owned:
    """What belongs to the `images` that the `reader` has kept; `report` takes down what is wrong."""
    numbers = {image.image_id: number for number, image in enumerate(images)}
    others = {image: numbers[first] for image, first in reader.same_as.items() if first in numbers}
    image_of = looked_up(np.asarray(table.image_ids), numbers | others)
    places = np.flatnonzero(image_of >= 0)
    ids = np.asarray(table.ids)[places]
    is_new = _is_new(ids)
    new_ids = filterfalse(set(table.ids).__contains__, count(1)) if not is_new.all() else count()
    wrong = np.concatenate([np.flatnonzero(image_of < 0), places[~is_new]])
    for place in np.sort(wrong).tolist():
        if image_of[place] < 0:
            _note_stray(table, place, reader, report)
        else:
            _note_id(table, place, report)
            ids[np.searchsorted(places, place)] = next(new_ids)
    kept = np.ones(len(places), dtype=bool)
    for number in sorted(set(others.values())):
        own = np.flatnonzero(image_of[places] == number)
        kept[own] = list(_are_no_repeats(table, places[own].tolist(), ids[own].tolist(), report))
    order = np.flatnonzero(kept)[np.argsort(image_of[places[kept]], kind="stable")]
    return Owned(places[order], image_of[places[order]], ids[order])


def looked_up(values: IntArray, numbers: Mapping[int, int]) -> IntArray:
    """(n,) what `numbers` has for each of the values; -1 where it has nothing."""
    if not numbers:
        return np.full(len(values), -1)
    keys = np.array(sorted(numbers), dtype=np.int64)
    found = np.array([numbers[key] for key in keys.tolist()], dtype=np.int64)
    nearest = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[nearest] == values, found[nearest], -1)


def shown_id(entry: Mapping[str, Any], number: int) -> str:
    """An annotation's id for messages: as the file has it, if it is text."""
    stated = entry.get("id")
    return one_line(stated) if isinstance(stated, str) else str(number)


def _is_new(ids: IntArray) -> BoolArray:
    """(n,) whether an id is one, and that of no annotation before."""
    is_first = np.zeros(len(ids), dtype=bool)
    is_first[np.unique(ids, return_index=True)[1]] = True
    return np.asarray(is_first & (ids != MISSING))


def _note_stray(table: Annotations, place: int, reader: ImageReader, report: DataReport) -> None:
    stated = table.image_ids[place]
    if stated == MISSING:
        report.add(Fault.ANNOTATION_MALFORMED, f"annotation number {place}", brief(table[place]))
        return
    image_id = reader.same_as.get(stated, stated)
    fault = Fault.DROPPED_IMAGE if image_id in reader.ids else Fault.UNKNOWN_IMAGE
    report.add(fault, f"annotation {brief(table[place].get('id'))}", f"image {image_id}")


def _note_id(table: Annotations, place: int, report: DataReport) -> None:
    if table.ids[place] == MISSING:
        report.add(Fault.ANNOTATION_ID_MISSING, f"annotation number {place}", brief(table[place].get("id")))
    else:
        report.add(Fault.ANNOTATION_ID_TWICE, f"annotation {table.ids[place]}")


def _are_no_repeats(table: Annotations, places: list[int], ids: list[int], report: DataReport) -> Iterator[bool]:
    """Of an image that is listed twice, perhaps with the same objects: whether each is there for the first time."""
    seen: set[str] = set()
    for place, annotation_id in zip(places, ids, strict=True):
        entry = table[place]
        said = _spelled([entry.get(key) for key in ("category_id", "bbox", "segmentation")])
        if said in seen:
            report.add(Fault.ANNOTATION_REPEATED, f"annotation {shown_id(entry, annotation_id)}")
        yield said not in seen
        seen.add(said)


def _spelled(value: Any) -> str:
    """Equal for equal values: 5 is 5.0."""
    return json.dumps(json.loads(json.dumps(value), parse_int=float))
