"""One mask file for each object, as in the Data Science Bowl of 2018: `ID/images/ID.png` and `ID/masks/*.png`.

Whatever is not zero belongs to the object; of a JPEG, which smears, what is lighter than half of its lightest pixel.
The class is the folder's name below `masks` where there is one (`masks/cat/3.png`), else "object".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from maskrcnn.data.formats.bitmaps import read_foreground
from maskrcnn.data.formats.content import UNNAMED, ContentBuilder, LabelContent
from maskrcnn.data.formats.listing import Listing, around, folder_of, split_of, stem_of
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.rle import encode_rle
from maskrcnn.text import counted

LOOKED_FOR = "one mask for each object (ID/images/, ID/masks/)"


def recognise(listing: Listing) -> bool:
    return listing.chosen is None and next(_samples(listing), None) is not None


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    used, labelled = set[str](), set[str]()
    for picture, masks in _samples(listing):
        image = builder.add_image(picture, listing.size(picture, masks[0]), split_of(picture))
        used.update((picture, *masks))
        labelled.add(_around_sample(picture))
        for mask in masks:
            _read_mask(listing, mask, image, builder)
    unlabelled = Counter[str]()
    for name in (picture for picture in listing.pictures() if picture not in used):
        if around(name, "masks"):
            builder.fault(Fault.MASK_FILE, name, "no image belongs to it")
        elif around(name, "images") and _around_sample(name) in labelled:
            builder.fault(Fault.MASK_FILE, name, "there is none for this image, which is left out")
        elif around(name, "images"):
            unlabelled[_around_sample(name)] += 1
    for folder, number in unlabelled.items():
        builder.report.note(f"{counted(number, 'image')} below {folder or '.'} left out: nobody there has masks")
    return builder.content()


def _around_sample(picture: str) -> str:
    """The folder that has samples like that of a picture: `stage1_test` of `stage1_test/ID/images/ID.png`."""
    above, _ = around(picture, "images") or ("", "")
    return folder_of(above)


def _samples(listing: Listing) -> Iterator[tuple[str, list[str]]]:
    """Images that are alone in their folder `images`, with the files of the folder `masks` beside it."""
    alone: dict[str, list[str]] = {}
    masks: dict[str, list[str]] = {}
    for name in listing.pictures():
        above, below = around(name, "images") or ("", "/")
        if "/" not in below:
            alone.setdefault(above, []).append(name)
        if parts := around(name, "masks"):
            masks.setdefault(parts[0], []).append(name)
    for folder, pictures in sorted(alone.items()):
        stems = {stem_of(mask) for mask in masks.get(folder, [])}
        if folder and len(pictures) == 1 and stems and stem_of(pictures[0]) not in stems:
            yield pictures[0], masks[folder]


def _read_mask(listing: Listing, name: str, image: int, builder: ContentBuilder) -> None:
    try:
        bitmap = read_foreground(listing.file(name))
    except UserError as error:
        builder.failure(Fault.MASK_FILE, name, error)
        return
    if not bitmap.any():
        builder.fault(Fault.MASK_FILE, name, "it is empty")
        return
    _, below = around(name, "masks") or ("", "")
    builder.add_rle(image, folder_of(below) or UNNAMED, encode_rle(bitmap.astype(np.uint8)), name)
