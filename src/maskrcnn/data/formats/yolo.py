"""YOLO: a text file for each image, a line for each object: class index, then x, y, ... as parts of the image.

https://docs.ultralytics.com/datasets/segment/. Five numbers are a box; a line decides for itself, since tools mix both.
The format has no parts and no holes: exporters join rings by a bridge there and back, which encloses no pixel, so that
such an outline is read as it is. A last whole number above 1 behind the coordinates is a track.

`data.yaml` names the classes and, for each split, folders or list files in several dialects; paths never lead out of
the folder (Roboflow's `../train/images` is read as `train/images`).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import yaml

from maskrcnn.data.formats.content import ContentBuilder, LabelContent
from maskrcnn.data.formats.listing import PICTURES, Listing, around, folder_of, split_of
from maskrcnn.data.formats.shapes import Flat, scaled
from maskrcnn.data.formats.text_files import decoded, read_text
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.files import read_regular
from maskrcnn.json_values import is_number
from maskrcnn.structures import Size
from maskrcnn.text import brief

LOOKED_FOR = "YOLO's data.yaml, or labels/ with a .txt for each image"

MAX_YAML, MAX_LABELS, MAX_LINE = 2**20, 64 * 2**20, 100_000
"""Bytes."""

OUTSIDE = 1e-3
"""Parts of the image; rounding takes coordinates a little over the edge."""


def recognise(listing: Listing) -> bool:
    return _settings_file(listing) is not None or any(
        around(name, "labels") and _is_label_text(listing, name) for name in listing.labels(".txt")[:50]
    )


def read(listing: Listing) -> LabelContent:
    file = _settings_file(listing)
    settings = _settings(listing, file) if file else {}
    above = folder_of(file) if file else ""
    builder = ContentBuilder(listing.path, listing.root, _class_names(settings.get("names"), listing))
    own = {label_file(picture) for picture in listing.pictures()}
    used = set[str]()
    for picture, split in _pictures(listing, settings, above):
        if labels := _read_image(listing, picture, split, own, builder):
            if labels in used:
                builder.fault(Fault.LABEL_FILE_SHARED, picture, labels)
            used.add(labels)
    texts = (name for name in listing.names if name.lower().endswith(".txt"))
    for name in texts:
        if name not in own and name not in used and _is_label_text(listing, name):
            builder.fault(Fault.LABEL_FILE_ALONE, name)
    return builder.content()


# --- data.yaml --------------------------------------------------------------------------------------------------


def _settings_file(listing: Listing) -> str | None:
    return next((name for name in listing.labels(".yaml", ".yml") if "names" in _settings(listing, name)), None)


def _settings(listing: Listing, name: str) -> dict[str, Any]:
    """The content of a small YAML file; nothing where it is none, or has no text keys."""
    try:
        content = yaml.safe_load(_without_aliases(read_regular(listing.file(name), MAX_YAML, "a YAML file")))
    except (UserError, yaml.YAMLError, RecursionError, ValueError):
        return {}
    return content if isinstance(content, dict) and all(isinstance(key, str) for key in content) else {}


def _without_aliases(content: bytes) -> bytes:
    """YAML's references can make a small file large without end; a settings file needs none."""
    if re.search(rb"(^|[\s\[{,:-])[*&][A-Za-z0-9_]", content):
        raise ValueError("references in a settings file")
    return content


def _class_names(names: Any, listing: Listing) -> list[str]:
    """From a list or a mapping from index to name; else from classes.txt; else none, and indices are the names."""
    if isinstance(names, dict) and names and (numbered := _numbered(names)):
        return [_class_name(numbered.get(index), index) for index in range(max(numbered) + 1)]
    if isinstance(names, list):
        return [_class_name(name, index) for index, name in enumerate(names)]
    file = next((name for name in listing.names if PurePosixPath(name).name in ("classes.txt", "obj.names")), None)
    if file is None:
        return []
    lines = read_text(listing.file(file), MAX_YAML, "a list of class names").splitlines()
    return [_class_name(line.strip(), index) for index, line in enumerate(lines) if line.strip()]


def _numbered(names: dict[Any, Any]) -> dict[int, Any]:
    """A mapping from index to name, whose indices may be text; empty where it is another one."""
    found = {int(key): name for key, name in names.items() if re.fullmatch(r"\d{1,5}", str(key))}
    return found if len(found) == len(names) else {}


def _class_name(name: Any, index: int) -> str:
    return name if isinstance(name, str) and name.isprintable() and name.strip() else str(index)


def _pictures(listing: Listing, settings: dict[str, Any], above: str) -> list[tuple[str, str]]:
    """Images with their splits, as the settings file in the folder `above` lists them; all where it lists none."""
    base = f"{above}/{settings.get('path', '')}"
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        places = settings.get(split, settings.get("valid") if split == "val" else None)
        for place in places if isinstance(places, list) else [places]:
            for picture in _pictures_of(listing, base, place):
                found.setdefault(picture, split)
    if not found:
        found = {name: split_of(name) for name in listing.pictures()}
    return sorted(found.items())


def _pictures_of(listing: Listing, base: str, place: Any) -> list[str]:
    """The images in a folder, or those that a list file names."""
    if not isinstance(place, str):
        return []
    for candidate in _inside(base, place):
        if candidate.endswith(".txt") and listing.has(candidate):
            return _listed(listing, candidate)
        if pictures := listing.pictures(candidate):
            return pictures
    return []


def _inside(base: str, place: str) -> list[str]:
    """What a path may mean inside the folder: below `base`, without what leads out, `val` and `valid` alike."""
    parts = [part for part in re.split(r"[/\\]", place) if part not in ("", ".", "..")]
    before = [part for part in re.split(r"[/\\]", base) if part not in ("", ".", "..")]
    ends = [[*before, *parts], *(parts[first:] for first in range(len(parts)))]
    spelt = [["val" if part == "valid" else "valid" if part == "val" else part for part in end] for end in ends]
    return list(dict.fromkeys("/".join(end) for pair in zip(ends, spelt, strict=True) for end in pair if end))


def _listed(listing: Listing, name: str) -> list[str]:
    lines = read_text(listing.file(name), MAX_LABELS, "a list of images").splitlines()
    found = [listing.picture(line.strip(), folder_of(name)) for line in lines if line.strip()]
    return [picture for picture in found if picture.lower().endswith(PICTURES)]


# --- labels -----------------------------------------------------------------------------------------------------


def label_file(picture: str) -> str:
    """Beside `images` there is `labels`: the last such folder of the name is replaced, and the ending."""
    parts = around(picture, "images")
    name = picture if parts is None else "/".join(filter(None, (parts[0], "labels", parts[1])))
    return name.rpartition(".")[0] + ".txt"


def _read_image(listing: Listing, picture: str, split: str, own: set[str], builder: ContentBuilder) -> str | None:
    """The label file that is read. An image without one, or with an empty one, is background.

    A file whose name has other letters (`A.txt`, `a.TXT`) counts as well, unless it is that of another image (`own`),
    and so does one right beside the image.
    """
    size, stated = listing.size(picture), label_file(picture)
    image = builder.add_image(picture, size, split)
    labels = listing.spelled(stated) or listing.spelled(f"{picture.rpartition('.')[0]}.txt")
    if size is None or labels is None or (labels != stated and labels in own):
        return None
    try:
        text = read_text(listing.file(labels), MAX_LABELS, "YOLO labels")
    except UserError as error:
        builder.failure(Fault.LABEL_FILE_BROKEN, labels, error)
        return labels
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            _add_line(line, f"{labels}: line {number}", image, size, builder)
    return labels


def _add_line(line: str, where: str, image: int, size: Size, builder: ContentBuilder) -> None:
    """`class x1 y1 x2 y2 ...`, or `class centre_x centre_y width height`."""
    values = _numbers(line)
    if values is None or len(values) < 5:
        builder.fault(Fault.SHAPE_MALFORMED, where, brief(line))
        return
    label, coordinates = _label_of(values[0], builder), values[1:]
    if len(coordinates) % 2 and coordinates[-1] > 1 and coordinates[-1].is_integer():  # the number of a track
        coordinates = coordinates[:-1]
    if label is None:
        builder.fault(Fault.UNKNOWN_CATEGORY, where, brief(values[0]))
    elif len(coordinates) % 2:
        builder.fault(Fault.POLYGON_ODD, where, f"{len(coordinates)} numbers")
    elif len(coordinates) == 4:
        x, y, width, height = coordinates
        corners = _cut([x - width / 2, y - height / 2, x + width / 2, y + height / 2], where, builder)
        builder.add_box(image, label, scaled(corners, size[1], size[0]), where)
    else:
        builder.add_polygons(image, label, [scaled(_cut(coordinates, where, builder), size[1], size[0])], where)


def _numbers(line: str) -> Flat | None:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        return None
    return values if all(map(is_number, values)) else None


def _label_of(index: float, builder: ContentBuilder) -> str | None:
    """The name of a class index; the index itself where no names are known."""
    names = builder.classes
    if index < 0 or not index.is_integer() or index >= 100_000:
        return None
    if not names:
        return str(int(index))
    assert isinstance(names, list)
    return str(names[int(index)]) if index < len(names) else None


def _cut(values: Flat, where: str, builder: ContentBuilder) -> Flat:
    """Coordinates from 0 to 1."""
    if min(values) < -OUTSIDE or max(values) > 1 + OUTSIDE:
        builder.fault(Fault.COORDINATES_OUTSIDE, where, f"{min(values):g} to {max(values):g}")
    return [min(max(value, 0.0), 1.0) for value in values]


def _is_label_text(listing: Listing, name: str) -> bool:
    """Whether the first line reads like a label."""
    try:
        with (listing.file(name)).open("rb") as file:
            words = decoded(file.read(MAX_LINE)).split("\n", 1)[0]
    except OSError:
        return False
    values = _numbers(words)
    return values is not None and len(values) >= 5 and values[0].is_integer()
