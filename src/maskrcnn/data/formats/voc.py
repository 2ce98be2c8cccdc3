"""Pascal VOC: `SegmentationObject/X.png` numbers the objects, `SegmentationClass/X.png` their classes.

http://host.robots.ox.ac.uk/pascal/VOC/. Palette pictures hold the numbers as indices; some exporters write the colours
of the palette instead, with their names in `labelmap.txt`. 255 is border, neither object nor background; it is left out
of the masks. Images without such pictures have the boxes of `Annotations/X.xml`, where `difficult` ones are ignored, or
the outlines that Roboflow adds there (`polygon/x1`, `y1`, `x2`, ...); several are parts of one object.
`ImageSets/*/{train,val,test}.txt` are the splits. Without `class_names.txt` or `labelmap.txt` classes are VOC's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from maskrcnn.data.formats.bitmaps import Values, colours_as_numbers
from maskrcnn.data.formats.content import ContentBuilder, LabelContent
from maskrcnn.data.formats.label_map import read_label_map, read_lines
from maskrcnn.data.formats.listing import Listing, folder_of, nearest, split_of, stem_of
from maskrcnn.data.formats.text_files import numbered_lines, read_text
from maskrcnn.data.formats.xml import number_of, read_xml, size_of, text_of
from maskrcnn.data.images import read_values
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.regions import labelled_regions
from maskrcnn.structures import RLE
from maskrcnn.structures.masks import IntArray
from maskrcnn.text import one_line

LOOKED_FOR = "Pascal VOC (SegmentationObject/, Annotations/*.xml)"

# fmt: off
CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)
# fmt: on

_OWN_NAME = re.compile(r"20\d\d_\d{6}")
"""Of a picture of VOC: `2007_000032`."""
_LOOKED_AT = 20
"""Annotations whose classes are looked at."""

_COORDINATE = re.compile(r"[xy]\d+")
"""Of an outline: `x1`."""

BORDER = 255

MAX_LIST = 64 * 2**20


def recognise(listing: Listing) -> bool:
    if listing.chosen is None and any("SegmentationObject/" in name for name in listing.names):
        return True
    return any(_is_annotation(listing, name) for name in listing.labels(".xml")[:3])


def read(listing: Listing) -> LabelContent:
    names = _Names(listing)
    builder = ContentBuilder(listing.path, listing.root, names.of_file)
    splits = _splits(listing, builder)
    objects = [name for name in listing.labels(".png") if "SegmentationObject/" in name]
    drawn = {stem_of(name) for name in objects}
    for name in objects:
        _read_masks(listing, name, names, splits, builder)
    if names.assumed and not _are_vocs(listing, drawn):
        assumed = ", ".join(f"{number} {label}" for number, label in sorted(names.assumed.items()))
        builder.report.note(
            f"classes of SegmentationClass have the names of Pascal VOC ({one_line(assumed)}): no class_names.txt or "
            "labelmap.txt names them; add one if they are others"
        )
    for name in listing.labels(".xml"):
        if stem_of(name) not in drawn:
            _read_boxes(listing, name, splits, builder)
    return builder.content()


def _are_vocs(listing: Listing, stems: Iterable[str]) -> bool:
    """Whether pictures bear VOC's names, or the first annotations name VOC's classes alone."""
    if any(_OWN_NAME.fullmatch(stem) for stem in stems):
        return True
    found = set[str | None]()
    for name in listing.labels(".xml")[:_LOOKED_AT]:
        with suppress(UserError):
            found.update(text_of(item, "name") for item in read_xml(listing.file(name)).iter("object"))
    return bool(found) and found <= set(CLASSES)


class _Names:
    """What a class number, or the colour in its place, is called; `assumed` are those that no file says."""

    def __init__(self, listing: Listing) -> None:
        self.of_colour = read_label_map(listing)
        file = nearest(name for name in listing.names if stem_of(name) == "class_names")
        self.of_file = _class_names(listing.file(file)) if file else list(self.of_colour.values())
        self.of_index = self.of_file or CLASSES
        self.assumed: dict[int, str] = {}

    def name(self, number: int, coloured: bool) -> str | None:
        if coloured and number in self.of_colour:
            return self.of_colour[number]
        index = _index_of(number) if coloured else number
        if not 0 < index <= len(self.of_index):
            return None
        if not self.of_file:
            self.assumed[index] = self.of_index[index - 1]
        return self.of_index[index - 1]


def _class_names(file: Path) -> list[str]:
    """Those of numbers from 1, background left out; a line without a name is called after its number."""
    lines = numbered_lines(read_text(file, MAX_LIST, "a list of class names"))
    return [line or str(number) for number, line in enumerate(lines)][1:]


def palette() -> IntArray:
    """(256,) VOC's colours as R 256^2 + G 256 + B: three bits of an index are a bit each of red, green and blue."""
    index = np.arange(256)
    colours = np.zeros((3, 256), np.int64)
    for bit in range(8):
        for channel in range(3):
            colours[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    red, green, blue = colours
    return np.asarray((red << 16) + (green << 8) + blue)


_BORDERS = (BORDER, int(palette()[BORDER]))
"""As an index and as a colour."""


def _index_of(colour: int) -> int:
    """The index of a colour of the palette; 0 for any other."""
    places = np.flatnonzero(palette() == colour)
    return int(places[0]) if len(places) else 0


def _splits(listing: Listing, builder: ContentBuilder) -> dict[str, str]:
    """The split of each image; a list of the folder Segmentation goes before others."""
    found: dict[str, str] = {}
    shared = dict[str, Counter[tuple[str, str]]]()
    lists = [name for name in listing.names if "ImageSets/" in name and _split_named(name)]
    for name in sorted(lists, key=lambda name: "/Segmentation/" not in name):
        for stem in dict.fromkeys(line.split()[0] for line in read_lines(listing.file(name), MAX_LIST)):
            first = found.setdefault(stem, name)
            splits = _split_named(first), _split_named(name)
            if splits[0] != splits[1] and folder_of(first) == folder_of(name):
                shared.setdefault(folder_of(name), Counter())[splits] += 1
    for folder, pairs in shared.items():
        builder.shared(folder, pairs)
    return {stem: _split_named(name) for stem, name in found.items()}


def _split_named(name: str) -> str:
    """The split that a list is named after, also as a subset of CVAT's: `train.txt`, `Validation.txt`."""
    return split_of(f"{stem_of(name)}/x")


def _picture(listing: Listing, beside: str, stated: str | None = None) -> str:
    """The image of the stem of a label file, or else the one it states."""
    above, stem = folder_of(folder_of(beside)), stem_of(beside)
    places = [
        folder_of(beside),
        *("/".join(filter(None, (above, name))) for name in ("JPEGImages", "images", "Images")),
    ]
    for folder in (*places, above):
        name = "/".join(filter(None, (folder, stem)))
        if (picture := listing.picture_of_stem(name)) is not None and picture != beside:
            return picture
    found = listing.picture(f"{stem}.jpg", above)
    return found if listing.has(found) or not stated else listing.picture(stated, above)


def _read_masks(listing: Listing, name: str, names: _Names, splits: Mapping[str, str], builder: ContentBuilder) -> None:
    picture = _picture(listing, name)
    image = builder.add_image(picture, listing.size(picture, name), splits.get(stem_of(name), ""))
    try:
        objects = read_values(listing.file(name))
        classes = read_values(listing.file(name.replace("SegmentationObject/", "SegmentationClass/")))
    except UserError as error:
        builder.failure(Fault.MASK_FILE, name, error)
        return
    if objects.shape[:2] != classes.shape[:2]:
        builder.fault(Fault.MASK_FILE, name, "SegmentationClass has another size")
        return
    flat = colours_as_numbers(classes).T.reshape(-1)
    for number, rle in labelled_regions(_without_border(objects)):
        where, label = f"{name}: object {number}", _class_of(rle, flat)
        class_name = names.name(label, classes.ndim == 3)
        if class_name is not None:
            builder.add_rle(image, class_name, rle, where)
        else:
            builder.fault(Fault.UNKNOWN_CATEGORY, where, f"class {label}")


def _without_border(objects: Values) -> IntArray:
    """Numbers of objects, with 0 where the border is."""
    values = colours_as_numbers(objects)
    return np.where(values == _BORDERS[objects.ndim == 3], 0, values)


def _class_of(rle: RLE, classes: IntArray) -> int:
    """The class of most of an object's pixels, border and background aside; 0 where there is no other."""
    ends = np.cumsum(rle.counts)
    runs = [classes[start:end] for start, end in zip(ends[::2].tolist(), ends[1::2].tolist(), strict=False)]
    found, counts = np.unique(np.concatenate(runs), return_counts=True)
    counts[np.isin(found, (0, *_BORDERS))] = 0
    return int(found[counts.argmax()]) if counts.any() else 0


# --- Annotations/*.xml ------------------------------------------------------------------------------------------


def _is_annotation(listing: Listing, name: str) -> bool:
    try:
        root = read_xml(listing.file(name))
    except UserError:
        return False
    return root.tag == "annotation" and root.find("object/bndbox") is not None


def _read_boxes(listing: Listing, name: str, splits: Mapping[str, str], builder: ContentBuilder) -> None:
    try:
        root = read_xml(listing.file(name))
    except UserError as error:
        builder.failure(Fault.LABEL_FILE_BROKEN, name, error)
        return
    if root.tag != "annotation":
        builder.fault(Fault.LABEL_FILE_OTHER, name)
        return
    picture = _picture(listing, name, text_of(root, "filename"))
    split = splits.get(stem_of(name)) or split_of(name)
    image = builder.add_image(picture, size_of(root, "size/height", "size/width") or listing.size(picture), split)
    for number, item in enumerate(root.iter("object")):
        _add_object(item, image, f"{name}: object {number}", builder)


def _add_object(item: Element, image: int, where: str, builder: ContentBuilder) -> None:
    """Its outlines, or else its box: part of an outline would be a wrong mask."""
    label, crowd, box = text_of(item, "name"), text_of(item, "difficult") == "1", _box(item)
    outlines = [_outline(polygon) for polygon in item.iterfind("polygon") if len(polygon)]
    wrong = next((outline for outline in outlines if isinstance(outline, Fault)), None)
    if outlines and wrong is None:
        builder.add_polygons(
            image, label, [ring for ring in outlines if not isinstance(ring, Fault)], where, crowd=crowd
        )
        return
    if wrong is not None:
        builder.fault(wrong, where)
    if box is None:
        builder.fault(Fault.SHAPE_MALFORMED, where, "bndbox")
    else:
        builder.add_box(image, label, box, where, crowd=crowd)


def _outline(polygon: Element) -> list[float] | Fault:
    """x1, y1, x2, y2, ..., or what is wrong with them."""
    stated, ring = {child.tag: child.text for child in polygon}, list[float]()
    for number in count(1):
        x, y = (number_of(stated.get(f"{axis}{number}")) for axis in "xy")
        if x is None or y is None:
            break
        ring += (x, y)
    if sum(bool(_COORDINATE.fullmatch(child.tag)) for child in polygon) > len(ring):
        return Fault.POLYGON_NUMBERS
    return ring if len(ring) >= 6 else Fault.POLYGON_SHORT


def _box(item: Element) -> list[float] | None:
    """x1, y1, x2, y2: VOC counts pixels from 1 and names the last one."""
    values = [number_of(text_of(item, f"bndbox/{name}")) for name in ("xmin", "ymin", "xmax", "ymax")]
    if any(value is None for value in values):
        return None
    x1, y1, x2, y2 = (value for value in values if value is not None)
    return [x1 - 1, y1 - 1, x2, y2]
