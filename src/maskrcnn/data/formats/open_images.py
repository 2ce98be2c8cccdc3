"""Open Images: a CSV with a line for each object, whose mask is a picture of its own.

https://storage.googleapis.com/openimages/web/factsfigures_v7.html. Masks are smaller or larger than their images and
are brought to the image's size by the nearest pixel. `*class-descriptions*.csv` names the classes.
"""

from __future__ import annotations

import csv
import io
import re

import numpy as np

from maskrcnn.data.formats.bitmaps import foreground
from maskrcnn.data.formats.content import ContentBuilder, LabelContent, is_class_name
from maskrcnn.data.formats.listing import Listing, folder_of, split_of, stem_of
from maskrcnn.data.images import read_values
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.files import read_regular
from maskrcnn.masks.rle import encode_rle
from maskrcnn.structures import Size
from maskrcnn.structures.masks import BoolArray, ByteArray

LOOKED_FOR = "Open Images (CSV with MaskPath, ImageID, LabelName)"

MAX_CSV = 2**31

HEADER = ("MaskPath", "ImageID", "LabelName")

Row = dict[str, str]


def recognise(listing: Listing) -> bool:
    return bool(_label_files(listing))


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    names = _class_names(listing)
    pictures = {stem_of(name): name for name in reversed(listing.pictures())}
    for name in _label_files(listing):
        try:
            rows = _rows(listing, name)
        except UserError as error:
            builder.failure(Fault.LABEL_FILE_BROKEN, name, error)
            continue
        by_image: dict[str, list[Row]] = {}
        for row in rows:
            by_image.setdefault(row["ImageID"], []).append(row)
        for image, objects in sorted(by_image.items()):
            _read_image(listing, name, pictures.get(image, f"{image}.jpg"), objects, names, builder)
    return builder.content()


def _label_files(listing: Listing) -> list[str]:
    return [name for name in listing.labels(".csv") if _starts_with(listing, name)]


def _starts_with(listing: Listing, name: str) -> bool:
    with (listing.file(name)).open("rb") as file:
        header = file.readline(10_000).decode("utf-8-sig", "replace").strip().split(",")
    return set(HEADER) <= set(header)


def _rows(listing: Listing, name: str) -> list[Row]:
    text = read_regular(listing.file(name), MAX_CSV, "a CSV file").decode("utf-8-sig", "replace")
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise UserError(f"{name}: expected a CSV file, but {error}; export it again") from None
    return [{key: row.get(key) or "" for key in HEADER} for row in rows]


def _class_names(listing: Listing) -> dict[str, str]:
    """Display names by the codes such as /m/01g317."""
    file = next((name for name in listing.names if "class-descriptions" in name and name.endswith(".csv")), None)
    if file is None:
        return {}
    text = read_regular(listing.file(file), MAX_CSV, "a CSV file").decode("utf-8-sig", "replace")
    found = [line.strip().split(",", 1) for line in text.splitlines()]
    return {line[0]: line[1].strip('"') for line in found if len(line) == 2 and is_class_name(line[1])}


def _read_image(
    listing: Listing, name: str, picture: str, rows: list[Row], names: dict[str, str], builder: ContentBuilder
) -> None:
    size = listing.size(picture)
    split = split_of(picture) or split_of(f"{re.split('[-_]', stem_of(name))[0]}/x")
    image = builder.add_image(picture, size, split)
    for row in rows:
        mask = listing.picture(row["MaskPath"], folder_of(name))
        where = f"{name}: {row['MaskPath']}"
        if size is None:
            continue  # the missing image is a line already
        if not listing.has(mask):
            builder.fault(Fault.MASK_FILE, where, "there is none")
            continue
        try:
            bitmap = resized(foreground(read_values(listing.file(mask))), size)
        except UserError as error:
            builder.failure(Fault.MASK_FILE, mask, error)
            continue
        builder.add_rle(image, names.get(row["LabelName"], row["LabelName"]), encode_rle(bitmap), where)


def resized(bitmap: BoolArray, size: Size) -> ByteArray:
    """A mask at the size of its image: each pixel's centre takes the mask's pixel that it falls into."""
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
        for new, old in zip(size, bitmap.shape, strict=True)
    )
    return np.asarray(bitmap[rows][:, columns], dtype=np.uint8)
