"""Mapillary Vistas: `instances/X.png` of 16 bits, class * 256 + number, with the classes in `config*.json`.

https://www.mapillary.com/dataset/vistas, versions 1.1, 1.2 and 2.0; of a folder that holds several the newest is read.
Classes without objects of their own (`instances` false) are background.
"""

from __future__ import annotations

import re
from typing import Any

from maskrcnn.data.formats.content import ContentBuilder, LabelContent
from maskrcnn.data.formats.listing import Listing, folder_of, split_of, stem_of
from maskrcnn.data.formats.shapes import entries
from maskrcnn.data.images import read_values
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.regions import labelled_regions
from maskrcnn.text import brief

LOOKED_FOR = "Mapillary Vistas (config*.json, instances/*.png)"

_VERSION = re.compile(r"(?:^|[/_])v(\d+\.\d+)(?=[./]|$)")


def recognise(listing: Listing) -> bool:
    return bool(_config_files(listing)) and bool(_masks(listing))


def read(listing: Listing) -> LabelContent:
    masks, configs = _masks(listing), _config_files(listing)
    if not masks or not configs:
        raise UserError(f"{listing.path}: expected {LOOKED_FOR}, found none")
    newest = max(map(_version, masks))
    config = next((name for name in configs if _version(name) == newest), configs[0])
    labels = entries(listing.json(config)["labels"])
    names = [label.get("name") if label.get("instances") is True else None for label in labels]
    builder = ContentBuilder(listing.path, listing.root)
    for mask in masks:
        if _version(mask) == newest:
            _read_mask(listing, mask, names, builder)
    return builder.content()


def _config_files(listing: Listing) -> list[str]:
    found = [name for name in listing.labels(".json") if stem_of(name).startswith("config")]
    return [name for name in found if _has_labels(listing.peek(name))]


def _has_labels(content: Any) -> bool:
    labels = entries(content.get("labels")) if isinstance(content, dict) else []
    return bool(labels) and "instances" in labels[0] and "name" in labels[0]


def _masks(listing: Listing) -> list[str]:
    return [name for name in listing.names if folder_of(name).endswith("instances") and name.lower().endswith(".png")]


def _version(name: str) -> tuple[int, ...]:
    match = _VERSION.search(name)
    return tuple(int(part[:9]) for part in match[1].split(".")) if match else (0,)


def _read_mask(listing: Listing, mask: str, names: list[Any], builder: ContentBuilder) -> None:
    above = folder_of(folder_of(mask))
    folders = (f"{above}/images", f"{folder_of(above)}/images")
    stems = (f"{folder}/{stem_of(mask)}".removeprefix("/") for folder in folders)
    picture = next((found for stem in stems if (found := listing.picture_of_stem(stem))), f"{stem_of(mask)}.jpg")
    image = builder.add_image(picture, listing.size(picture, mask), split_of(mask))
    try:
        values = read_values(listing.file(mask))
    except UserError as error:
        builder.failure(Fault.MASK_FILE, mask, error)
        return
    if values.ndim != 2:
        builder.fault(Fault.MASK_FILE, mask, "it has colours")
        return
    for value, rle in labelled_regions(values.astype("int64") + 1):  # 0 is the first object of the first class
        where, label = f"{mask}: value {value - 1}", (value - 1) >> 8
        if label >= len(names):
            builder.fault(Fault.UNKNOWN_CATEGORY, where, brief(label))
        elif names[label] is not None:
            builder.add_rle(image, names[label], rle, where)
