"""A page to look at an image of any size with its objects, at every zoom: a folder that opens without a server.

`X/index.html` shows `X/image/LEVEL/ROW_COLUMN.jpg`, of which level 0 is the image and each other half of the one
before, and draws the objects of `X/objects/LEVEL/ROW_COLUMN.js` over it. These are scripts, since a page that is opened
as a file may not read any other; only tiles with objects have one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrcnn.files import make_folder, write_atomically
from maskrcnn.large.pyramid import half_of_numbers, half_of_pixels, num_levels, pyramid
from maskrcnn.large.readers import opened
from maskrcnn.large.strips import LabelStrips, Numbers
from maskrcnn.structures import Categories
from maskrcnn.structures.large_image import LargeImage
from maskrcnn.structures.masks import ByteArray
from maskrcnn.text import counted
from maskrcnn.viz.colours import instance_colour

if TYPE_CHECKING:
    from maskrcnn.results.finished import Finished, FinishedImage

TILE = 512
"""Pixels of a side."""

QUALITY = 85
"""Of JPEG."""

COLOURS = 24
"""So many in turn."""

Value = TypeVar("Value", np.uint8, np.uint32)


def write(finished: Finished, folder: Path) -> Counter[str]:
    """`X/index.html` for each image X."""
    for image in finished:
        _write_page(image, folder / image.stem, finished)
    return Counter()


def _write_page(image: FinishedImage, folder: Path, finished: Finished) -> None:
    labels, levels = LabelStrips(image.parts, image.size), num_levels(image.size, TILE)
    with opened(image.path, finished.channels) as pixels:
        strips = map(finished.channels.picture, _pixel_strips(pixels))
        for level, row, strip in pyramid(strips, levels, TILE, half_of_pixels):
            _save_pictures(strip, folder / "image" / str(level), row)
    occupied = [""] * levels
    for level, row, numbers in pyramid(labels.strips(TILE), levels, TILE, half_of_numbers):
        occupied[level] += _save_objects(numbers, folder / "objects", f"{level}/{row}", labels)
    height, width = image.size
    facts = {"width": width, "height": height, "tile": TILE, "levels": levels, "occupied": occupied}
    write_atomically(folder / "index.html", _page(image.name, facts, finished.categories, len(labels)))


def _pixel_strips(image: LargeImage) -> Iterator[ByteArray]:
    height, width = image.size
    return (image.read((0, top, width, min(top + TILE, height))) for top in range(0, height, TILE))


def _columns(strip: npt.NDArray[Value]) -> Iterator[tuple[int, npt.NDArray[Value]]]:
    return ((left // TILE, strip[:, left : left + TILE]) for left in range(0, strip.shape[1], TILE))


def _save_pictures(strip: ByteArray, folder: Path, row: int) -> None:
    make_folder(folder)
    for column, pixels in _columns(strip):
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{row}_{column}.jpg", "JPEG", quality=QUALITY)


def _save_objects(strip: Numbers, folder: Path, name: str, labels: LabelStrips) -> str:
    """A file for each tile of the row that has objects; which these are, a 0 or a 1 for each tile."""
    occupied = ""
    for column, numbers in _columns(strip):
        if is_occupied := bool(numbers.any()):
            path = folder / f"{name}_{column}.js"
            make_folder(path.parent)
            path.write_text(_script(numbers, f"{name}_{column}", labels))
        occupied += str(int(is_occupied))
    return occupied


def _script(numbers: Numbers, name: str, labels: LabelStrips) -> str:
    """The call that hands a tile's objects to the page: number, class and score of each, and runs of pixels.

    A run is a place among these objects plus 1, or 0, and a length; row by row.
    """
    flat = numbers.reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths, values = np.diff(starts, append=len(flat)), flat[starts]
    present = np.unique(values[values > 0]).astype(np.int64)
    places = np.where(values > 0, np.searchsorted(present, values) + 1, 0)
    runs = np.stack([places, lengths], axis=1).reshape(-1).tolist()
    scores = np.round(labels.scores[present - 1].astype(np.float64), 3).tolist()
    found = list(zip(present.tolist(), labels.labels[present - 1].tolist(), scores, strict=True))
    arguments = (name, [numbers.shape[1], numbers.shape[0]], found, runs)
    return f"objects({','.join(json.dumps(part, separators=(',', ':')) for part in arguments)})\n"


def _page(name: str, facts: dict[str, Any], categories: Categories, num_objects: int) -> str:
    colours = [instance_colour(index) for index in range(max(COLOURS, len(categories)))]
    facts = {**facts, "classes": categories.names, "colours": colours}
    legend = "".join(
        f'<li style="--colour: rgb{colour}">{escape(label)}</li>'
        for label, colour in zip(categories.names, colours, strict=False)
    )
    static = files("maskrcnn.results") / "static"
    return Template((static / "zoom.html").read_text("utf-8")).substitute(
        title=escape(name),
        size=f"{facts['width']:,} x {facts['height']:,} pixels, {counted(num_objects, 'object')}",
        legend=f"<ul>{legend}</ul>" if len(categories) > 1 else "",
        style=(static / "zoom.css").read_text("utf-8"),
        facts=json.dumps(facts).replace("<", "\\u003c"),  # a name must not end the script
        script=(static / "zoom.js").read_text("utf-8"),
    )
