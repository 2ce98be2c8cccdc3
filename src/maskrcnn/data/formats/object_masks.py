"""One mask file for each object, as in the Data Science Bowl of 2018: `ID/images/ID.png` and `ID/masks/*.png`.

Whatever is not zero belongs to the object; of a JPEG, which smears, what is lighter than half of its lightest pixel.
The class is the folder's name below `masks` where there is one (`masks/cat/3.png`), else "object".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator

import numpy as np

from maskrcnn.data.formats.bitmaps import read_foreground
from maskrcnn.data.formats.content import LONGEST_NAME, UNNAMED, ContentBuilder, LabelContent
from maskrcnn.data.formats.listing import Listing, around, folder_of, split_of, stem_of
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.rle import encode_rle
from maskrcnn.text import counted, one_line

LOOKED_FOR = "one mask for each object (ID/images/, ID/masks/)"


def recognise(listing: Listing) -> bool:
    return listing.chosen is None and next(_samples(listing), None) is not None


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    used = set[str]()
    for picture, masks in _samples(listing):
        image = builder.add_image(picture, listing.size(picture, masks[0]), split_of(picture))
        used.update((picture, *masks))
        for mask in masks:
            _read_mask(listing, mask, image, builder)
    _report_unused([name for name in listing.pictures() if name not in used], _to_be_predicted(listing), builder)
    return builder.content()


def _report_unused(names: Iterable[str], to_be_predicted: Container[str], builder: ContentBuilder) -> None:
    left_out = []
    for name in names:
        if around(name, "masks"):
            builder.fault(Fault.MASK_FILE, name, "no image belongs to it")
        elif (parts := around(name, "images")) and folder_of(parts[0]) in to_be_predicted:
            left_out.append(name)
        elif parts:
            builder.fault(Fault.MASK_FILE, name, "there is none for this image, which is left out")
    if left_out:
        example = one_line(left_out[0], LONGEST_NAME)
        builder.report.note(f"{counted(len(left_out), 'image')} left out, such as {example}: no sample there has masks")


def _to_be_predicted(listing: Listing) -> set[str]:
    """The folders that have several samples, none of them with masks, as `stage1_test` has `ID/images/ID.png`."""
    pictures = listing.pictures()
    labelled = {folder_of(parts[0]) for name in pictures if (parts := around(name, "masks"))}
    samples = {parts[0] for name in pictures if (parts := around(name, "images"))}
    return {
        folder for folder, number in Counter(map(folder_of, samples)).items() if number > 1 and folder not in labelled
    }


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
