"""Cityscapes: `gtFine/SPLIT/CITY/X_gtFine_instanceIds.png` beside `leftImg8bit/SPLIT/CITY/X_leftImg8bit.png`.

https://github.com/mcordts/cityscapesScripts: a pixel is class * 1000 + number, or the class alone where objects could
not be told apart: such a group of a class with objects is a crowd. Caravans and trailers, which the benchmark leaves
out, are ignored regions; all else is background. Of an image that has both, the fine labels count and not the coarse
ones, unless they are void throughout. A split that is void throughout, as `test` whose labels are not given away, is
left out; beside others of its split such an image is one without objects.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.data.coco_street import FIELD, LEFT_OUT, VOID
from maskrcnn.data.formats.content import ContentBuilder, Json, LabelContent
from maskrcnn.data.formats.listing import Listing, split_of
from maskrcnn.data.images import read_values
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.regions import labelled_regions
from maskrcnn.masks.rle import encode_rle
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.text import counted

LOOKED_FOR = "Cityscapes (gtFine/, *_instanceIds.png)"

CLASSES = {
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
IGNORED = (29, 30)
"""Caravan, trailer."""
UNLABELLED = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18)
"""Void: nobody knows, the own car, parking, bridge, ... With `IGNORED` it is what the benchmark does not judge,
`ignoreInEval` of its labels."""

_PARTS = np.zeros(1 << 16, np.uint8)
"""By a pixel's value: 1 void, 2 an object of a class that does not count."""
_PARTS[[*UNLABELLED, *IGNORED]] = 1
_PARTS[1000 * min(IGNORED) : 1000 * (max(IGNORED) + 1)] = 2

_MASK = re.compile(r"(?P<above>(?:.*/)?)gt(?P<kind>Fine|Coarse)/(?P<stem>.+)_gt(?:Fine|Coarse)_instanceIds\.png$")


def recognise(listing: Listing) -> bool:
    return any(map(_MASK.match, listing.names))


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root, CLASSES.values())
    void, labelled = dict[int, str](), set[str]()
    for picture, masks in _images(listing):
        mask, values = _finest(listing, masks, builder)
        split, fields = split_of(mask), {} if values is None else {FIELD: _pixels(values)}
        image = builder.add_image(picture, listing.size(picture, mask), split, **fields)
        if _is_void(values):
            void[image] = split
        elif values is not None:
            labelled.add(split)
            _add_objects(values, mask, image, builder)
    _leave_out({image for image, split in void.items() if split not in labelled}, builder)
    return builder.content()


def _leave_out(images: Container[int], builder: ContentBuilder) -> None:
    kept = [image for image in builder.images if image["id"] not in images]
    if number := len(builder.images) - len(kept):
        builder.report.note(
            f"{counted(number, 'image')} left out: their split is void throughout, as where labels are not given away"
        )
    builder.images = kept


def _finest(listing: Listing, masks: Sequence[str], builder: ContentBuilder) -> tuple[str, npt.NDArray[Any] | None]:
    """The first mask that has labels, with its values; else the first of all."""
    read = []
    for mask in masks:
        values = _values(listing, mask, builder)
        if values is not None and not _is_void(values):
            return mask, values
        read.append((mask, values))
    return read[0]


def _is_void(values: npt.NDArray[Any] | None) -> bool:
    return values is not None and bool(np.isin(values, UNLABELLED).all())


def _add_objects(values: npt.NDArray[Any], mask: str, image: int, builder: ContentBuilder) -> None:
    for value, rle in labelled_regions(values):
        number = value // 1000 if value >= 1000 else value
        if number in CLASSES:
            builder.add_rle(image, CLASSES[number], rle, f"{mask}: value {value}", crowd=value < 1000)
        elif number in IGNORED:
            builder.add_rle(image, None, rle, f"{mask}: value {value}", crowd=True)


def _values(listing: Listing, mask: str, builder: ContentBuilder) -> npt.NDArray[Any] | None:
    """(H, W); None where the file holds none, which is a fault."""
    try:
        values = read_values(listing.file(mask))
    except UserError as error:
        builder.failure(Fault.MASK_FILE, mask, error)
        return None
    if values.ndim != 2:
        builder.fault(Fault.MASK_FILE, mask, "it has colours")
        return None
    return values


def _pixels(values: npt.NDArray[Any]) -> Json:
    """For the benchmark's metric (`evaluation/cityscapes.py`), where alone an object of a caravan is not void."""
    parts = _PARTS.take(values, mode="clip")
    masks = {VOID: parts == 1, LEFT_OUT: parts == 2}
    return {n: rle_to_coco(encode_rle(m.view(np.uint8))) for n, m in masks.items() if n == VOID or m.any()}


def _images(listing: Listing) -> Iterator[tuple[str, list[str]]]:
    """Each image with its masks, the fine one first."""
    found: dict[str, dict[str, list[str]]] = {"Fine": {}, "Coarse": {}}
    for name in listing.names:
        if match := _MASK.match(name):
            found[match["kind"]].setdefault(_picture(listing, match), []).append(name)
    fine, coarse = found.values()
    for picture in sorted({*fine, *coarse}):
        for mask in fine.get(picture, []):
            yield picture, [mask, *coarse.get(picture, [])]
        if picture not in fine:
            yield from ((picture, [mask]) for mask in coarse[picture])


def _picture(listing: Listing, mask: re.Match[str]) -> str:
    stated = f"{mask['above']}leftImg8bit/{mask['stem']}_leftImg8bit.png"
    return stated if listing.has(stated) else listing.picture(stated)  # each archive in a folder of its own
