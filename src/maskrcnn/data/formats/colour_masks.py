"""Masks in which a colour is a class: pictures beside the images, and `labelmap.txt` with their names, or such a file.

Or a value of grey is a class, named in Roboflow's `_classes.csv`.
What touches in one colour cannot be told apart, so each connected region (corners touch) is an object; masks that
number their objects are Pascal VOC's (`SegmentationObject/`) or label images. JPEG smears colours and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from maskrcnn.data.formats.bitmaps import colours_as_numbers
from maskrcnn.data.formats.content import ContentBuilder, LabelContent
from maskrcnn.data.formats.label_images import pairs
from maskrcnn.data.formats.label_map import LabelMaps, find_label_map
from maskrcnn.data.formats.listing import Listing, folder_of, split_of
from maskrcnn.data.images import read_colours
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.regions import labelled_regions

LOOKED_FOR = "masks of colours with labelmap.txt or _classes.csv (or --colours)"

MAX_COLOURS = 1000


def recognise(listing: Listing) -> bool:
    if listing.chosen is not None or find_label_map(listing) is None:
        return False
    return not any("SegmentationObject/" in name for name in listing.names) and next(_masks(listing), None) is not None


def read(listing: Listing) -> LabelContent:
    names = LabelMaps(listing)
    builder = ContentBuilder(listing.path, listing.root, names.of_all.values())
    for picture, mask in sorted(_masks(listing)):
        image = builder.add_image(picture, listing.size(picture, mask), split_of(picture))
        _read_mask(listing, mask, names.of(folder_of(mask)), image, builder)
    return builder.content()


def _masks(listing: Listing) -> Iterator[tuple[str, str]]:
    """(image, mask): `masks/` beside `images/`, or `SegmentationClass/` beside `JPEGImages/`."""
    yield from pairs(listing)
    for name in listing.pictures():
        if "SegmentationClass/" in name:
            stem = name.rpartition(".")[0].replace("SegmentationClass/", "JPEGImages/")
            if (picture := listing.picture_of_stem(stem)) is not None:
                yield picture, name


def _read_mask(listing: Listing, mask: str, names: dict[int, str], image: int, builder: ContentBuilder) -> None:
    try:
        values = colours_as_numbers(read_colours(listing.file(mask)))
    except UserError as error:
        builder.failure(Fault.MASK_FILE, mask, error)
        return
    colours = np.unique(values)
    if len(colours) > MAX_COLOURS:
        builder.fault(Fault.MASK_FILE, mask, f"{len(colours)} colours: a photograph, or saved as JPEG; use PNG")
        return
    for colour in colours[colours > 0].tolist():
        label = names.get(colour)
        if label is None:
            builder.fault(Fault.UNKNOWN_CATEGORY, mask, f"colour {colour >> 16},{(colour >> 8) & 255},{colour & 255}")
            continue
        _, regions = cv2.connectedComponents((values == colour).astype(np.uint8), connectivity=8)
        for number, rle in labelled_regions(np.asarray(regions)):
            builder.add_rle(image, label, rle, f"{mask}: {label} {number}")
