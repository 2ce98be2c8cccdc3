"""Cityscapes: `gtFine/SPLIT/CITY/X_gtFine_instanceIds.png` beside `leftImg8bit/SPLIT/CITY/X_leftImg8bit.png`.

https://github.com/mcordts/cityscapesScripts: a pixel is class * 1000 + number, or the class alone where objects could
not be told apart: such a group of a class with objects is a crowd. Caravans and trailers, which the benchmark leaves
out, are ignored regions; all else is background.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from maskrcnn.data.formats.content import ContentBuilder, LabelContent
from maskrcnn.data.formats.listing import Listing, split_of
from maskrcnn.data.images import read_values
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.regions import labelled_regions

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

_MASK = re.compile(r"(?P<above>(?:.*/)?)gt(?:Fine|Coarse)/(?P<stem>.+)_gt(?:Fine|Coarse)_instanceIds\.png$")


def recognise(listing: Listing) -> bool:
    return next(_masks(listing), None) is not None


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root, CLASSES.values())
    for mask, picture in _masks(listing):
        image = builder.add_image(picture, listing.size(picture), split_of(mask))
        try:
            values = read_values(listing.file(mask))
        except UserError as error:
            builder.failure(Fault.MASK_FILE, mask, error)
            continue
        if values.ndim != 2:
            builder.fault(Fault.MASK_FILE, mask, "it has colours")
            continue
        for value, rle in labelled_regions(values):
            number = value // 1000 if value >= 1000 else value
            if number in CLASSES:
                builder.add_rle(image, CLASSES[number], rle, f"{mask}: value {value}", crowd=value < 1000)
            elif number in IGNORED:
                builder.add_rle(image, None, rle, f"{mask}: value {value}", crowd=True)
    return builder.content()


def _masks(listing: Listing) -> Iterator[tuple[str, str]]:
    """(mask, image) by their names."""
    for name in listing.names:
        if match := _MASK.match(name):
            yield name, f"{match['above']}leftImg8bit/{match['stem']}_leftImg8bit.png"
