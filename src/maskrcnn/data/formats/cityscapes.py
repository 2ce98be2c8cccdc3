"""Cityscapes: `gtFine/SPLIT/CITY/X_gtFine_instanceIds.png` beside `leftImg8bit/SPLIT/CITY/X_leftImg8bit.png`.

https://github.com/mcordts/cityscapesScripts: a pixel is class * 1000 + number, or the class alone where objects could
not be told apart: such a group of a class with objects is a crowd. Caravans and trailers, which the benchmark leaves
out, are ignored regions; all else is background. Of an image that has both, the fine labels count and not the coarse
ones; an image that is void throughout, as those of `test` whose labels are not given away, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
VOID_CLASSES = (0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, *IGNORED)
"""What the benchmark does not judge, `ignoreInEval` of its labels: unlabelled, the own car, parking, bridge, ..."""

_PARTS = np.zeros(1 << 16, np.uint8)
"""By a pixel's value: 1 void, 2 an object of a class that does not count."""
_PARTS[list(VOID_CLASSES)] = 1
_PARTS[1000 * min(IGNORED) : 1000 * (max(IGNORED) + 1)] = 2

_MASK = re.compile(r"(?P<above>(?:.*/)?)gt(?P<kind>Fine|Coarse)/(?P<stem>.+)_gt(?:Fine|Coarse)_instanceIds\.png$")


def recognise(listing: Listing) -> bool:
    return next(_masks(listing), None) is not None


def read(listing: Listing) -> LabelContent:
    builder, num_void = ContentBuilder(listing.path, listing.root, CLASSES.values()), 0
    for mask, stated in _masks(listing):
        values = _values(listing, mask, builder)
        if values is not None and np.isin(values, VOID_CLASSES).all():
            num_void += 1
            continue
        fields = {} if values is None else {FIELD: _pixels(values)}
        picture = stated if listing.has(stated) else listing.picture(stated)  # each archive in a folder of its own
        image = builder.add_image(picture, listing.size(picture, mask), split_of(mask), **fields)
        if values is None:
            continue
        for value, rle in labelled_regions(values):
            number = value // 1000 if value >= 1000 else value
            if number in CLASSES:
                builder.add_rle(image, CLASSES[number], rle, f"{mask}: value {value}", crowd=value < 1000)
            elif number in IGNORED:
                builder.add_rle(image, None, rle, f"{mask}: value {value}", crowd=True)
    if num_void:
        builder.report.note(
            f"{counted(num_void, 'image')} left out: void throughout, as where labels are not given away"
        )
    return builder.content()


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


def _masks(listing: Listing) -> Iterator[tuple[str, str]]:
    """(mask, image) by their names."""
    for name in listing.names:
        match = _MASK.match(name)
        if match and not (match["kind"] == "Coarse" and listing.has(name.replace("gtCoarse", "gtFine"))):
            yield name, f"{match['above']}leftImg8bit/{match['stem']}_leftImg8bit.png"
