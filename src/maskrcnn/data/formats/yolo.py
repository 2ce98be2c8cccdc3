"""YOLO: a text file for each image, a line for each object: class index, then x, y, ... as parts of the image.

https://docs.ultralytics.com/datasets/segment/. Five numbers are a box; a line decides for itself, since tools mix both.
Where data.yaml states `kpt_shape`, keypoints follow the box, and no line is an outline (datasets/pose/).
The format has no parts and no holes: exporters join rings by a bridge there and back, which encloses no pixel, so that
such an outline is read as it is. Behind a shape may stand a confidence, the number of a track, or both in this order;
they are left out. Where they may be coordinates, they are: a box, a confidence and track 1 are three points.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from maskrcnn.data.coco_keypoints import keypoints_to_coco
from maskrcnn.data.formats.content import ContentBuilder, Json, LabelContent
from maskrcnn.data.formats.listing import Listing, around
from maskrcnn.data.formats.shapes import Flat, scaled
from maskrcnn.data.formats.text_files import decoded, read_text
from maskrcnn.data.formats.yolo_pose import Pose, pose_of
from maskrcnn.data.formats.yolo_settings import (
    YoloSettings,
    class_names,
    find_settings,
    images_of_splits,
    named_classes,
)
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.files import open_regular
from maskrcnn.json_values import is_number
from maskrcnn.structures import Size
from maskrcnn.structures.masks import FloatArray
from maskrcnn.text import brief

LOOKED_FOR = "YOLO's data.yaml or obj.data, or labels/ with a .txt for each image"

MAX_LABELS, MAX_LINE = 64 * 2**20, 100_000
"""Bytes."""

OUTSIDE = 1e-3
"""Parts of the image; rounding takes coordinates a little over the edge."""

LOOKED_AT = 50
"""Texts that are not empty; the first ones of a folder may well be of background."""


def recognise(listing: Listing) -> bool:
    if find_settings(listing) is not None:
        return True
    in_labels = [name for name in listing.labels(".txt") if around(name, "labels")]
    if any(map(_is_label, _first_lines(listing, in_labels))):
        return True
    return any(map(_is_of_parts, _first_lines(listing, _texts_beside(listing))))


def _texts_beside(listing: Listing) -> Iterator[str]:
    """Where a file names the classes, the texts right beside images without labels in another form."""
    if named_classes(listing) is not None:
        for name in listing.labels(".txt"):
            stem = name.rpartition(".")[0]
            is_alone = not listing.has(f"{stem}.xml") and not listing.has(f"{stem}.json")
            if is_alone and listing.picture_of_stem(stem) and not around(name, "labels"):
                yield name


def _first_lines(listing: Listing, names: Iterable[str]) -> Iterator[str]:
    return islice(filter(None, (_first_line(listing, name) for name in names)), LOOKED_AT)


def read(listing: Listing) -> LabelContent:
    settings, builder = find_settings(listing) or YoloSettings(), ContentBuilder(listing.path, listing.root)
    for name, error in settings.broken.items():
        builder.failure(Fault.SETTINGS_BROKEN, name, error)
    builder.classes, pose = class_names(settings, listing, builder), pose_of(settings, builder)
    own = {label_file(picture) for picture in listing.pictures()}
    used = set[str]()
    for picture, split in images_of_splits(settings, listing, builder):
        if labels := _read_image(listing, picture, split, own, pose, builder):
            if labels in used:
                builder.fault(Fault.LABEL_FILE_SHARED, picture, labels)
            used.add(labels)
    texts = (name for name in listing.names if name.lower().endswith(".txt"))
    for name in texts:
        if name not in own and name not in used and _is_label_text(listing, name):
            builder.fault(Fault.LABEL_FILE_ALONE, name)
    return builder.content()


# --- labels -----------------------------------------------------------------------------------------------------


def label_file(picture: str) -> str:
    """Beside `images` there is `labels`: the last such folder of the name is replaced, and the ending."""
    parts = around(picture, "images")
    name = picture if parts is None else "/".join(filter(None, (parts[0], "labels", parts[1])))
    return name.rpartition(".")[0] + ".txt"


@dataclass(frozen=True)
class _Image:
    """An image whose label file is read: its id, its size, and where its objects go."""

    number: int
    size: Size
    pose: Pose | None
    builder: ContentBuilder


def _read_image(
    listing: Listing, picture: str, split: str, own: set[str], pose: Pose | None, builder: ContentBuilder
) -> str | None:
    """The label file that is read. An image without one, or with an empty one, is background.

    A file whose name has other letters (`A.txt`, `a.TXT`) counts as well, unless it is that of another image (`own`),
    and so does one right beside the image, if it reads like labels: it may be a caption.
    """
    size, stated = listing.size(picture), label_file(picture)
    number = builder.add_image(picture, size, split)
    labels = listing.spelled(stated) or _labels_beside(listing, picture)
    if size is None or labels is None or (labels != stated and labels in own):
        return None
    try:
        text = read_text(listing.file(labels), MAX_LABELS, "YOLO labels")
    except UserError as error:
        builder.failure(Fault.LABEL_FILE_BROKEN, labels, error)
        return labels
    image = _Image(number, size, pose, builder)
    for place, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            _add_line(line, f"{labels}: line {place}", image)
    return labels


def _labels_beside(listing: Listing, picture: str) -> str | None:
    name = listing.spelled(f"{picture.rpartition('.')[0]}.txt")
    return name if name is not None and _is_label_text(listing, name) else None


def _add_line(line: str, where: str, image: _Image) -> None:
    """The class, and what follows it."""
    values = _numbers(line)
    if values is None or len(values) < 5:
        image.builder.fault(Fault.SHAPE_MALFORMED, where, brief(line))
    elif (label := _label_of(values[0], image.builder)) is None:
        image.builder.fault(Fault.UNKNOWN_CATEGORY, where, brief(values[0]))
    elif image.pose is None:
        _add_shape(label, values[1:], where, image)
    else:
        _add_posed(label, values[1:], image.pose, where, image)


def _add_shape(label: str, values: Flat, where: str, image: _Image) -> None:
    """`x1 y1 x2 y2 ...`, or `centre_x centre_y width height`."""
    values = values[: _length_alone(values)]
    if len(values) % 2:
        image.builder.fault(Fault.POLYGON_ODD, where, f"{len(values)} numbers")
    elif len(values) == 4:
        image.builder.add_box(image.number, label, _corners(values, where, image), where)
    else:
        image.builder.add_polygons(image.number, label, [_pixels(values, where, image)], where)


def _length_alone(values: Flat) -> int:
    """How many values are the box or outline.

    An odd number that ends in a fraction may lack a coordinate, unless it is one more than a box has.
    """
    if len(values) % 2:
        is_more = _is_track(values[-1]) or (len(values) == 5 and _is_behind(values[4:]))
        return len(values) - is_more
    has_both = len(values) > 4 and values[-1] > 1 and _is_behind(values[-2:])  # up to 1 it may be a coordinate
    return len(values) - 2 * has_both


def _is_behind(values: Flat) -> bool:
    """Whether these may stand behind a shape: a confidence, a track, or both; a 1 alone is either."""
    if len(values) == 2:
        return 0 <= values[0] <= 1 and _is_track(values[1])
    return len(values) == 1 and (0 <= values[0] <= 1 or _is_track(values[0]))


def _is_track(value: float) -> bool:
    return value >= 0 and value.is_integer()


def _add_posed(label: str, values: Flat, pose: Pose, where: str, image: _Image) -> None:
    """`centre_x centre_y width height`, then the keypoints; a line may be a box alone."""
    box, rest, expected = values[:4], values[4:], pose.dimensions * len(pose.schema)
    length = expected if len(rest) >= expected else 0
    if rest[length:] and not _is_behind(rest[length:]):
        found = f"{len(rest)} numbers behind the box, by kpt_shape there are {expected}"
        image.builder.fault(Fault.SHAPE_MALFORMED, where, found)
        return
    x1, y1, x2, y2 = _corners(box, where, image)
    entry: Json = {"bbox": [x1, y1, x2 - x1, y2 - y1]}
    if rest := rest[:length]:
        image.builder.class_fields[label] = pose.schema.to_coco()
        entry |= keypoints_to_coco(_keypoints(np.array(rest).reshape(-1, pose.dimensions), image.size))
    image.builder.add_entry(image.number, label, entry, where)


def _keypoints(stated: FloatArray, size: Size) -> FloatArray:
    """(P, 3) x, y in pixels and visibility, of (P, 2 or 3) in parts of the image; none is at 0, 0."""
    points = stated[:, :2] * size[::-1]
    if stated.shape[1] == 3:
        return np.column_stack([points, stated[:, 2]])
    return np.column_stack([points, 2 * ((points >= 0).all(axis=1) & points.any(axis=1))])


def _corners(box: Flat, where: str, image: _Image) -> Flat:
    """x1, y1, x2, y2 in pixels."""
    x, y, width, height = box
    return _pixels([x - width / 2, y - height / 2, x + width / 2, y + height / 2], where, image)


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


def _pixels(values: Flat, where: str, image: _Image) -> Flat:
    """Of parts of the image, cut to 0 to 1."""
    if min(values) < -OUTSIDE or max(values) > 1 + OUTSIDE:
        image.builder.fault(Fault.COORDINATES_OUTSIDE, where, f"{min(values):g} to {max(values):g}")
    return scaled([min(max(value, 0.0), 1.0) for value in values], image.size[1], image.size[0])


def _is_label_text(listing: Listing, name: str) -> bool:
    return _is_label(_first_line(listing, name))


def _first_line(listing: Listing, name: str) -> str:
    """That is not empty; without one, or where the file cannot be read, an empty text."""
    try:
        with open_regular(listing.file(name)) as file:
            return decoded(file.read(MAX_LINE)).strip().partition("\n")[0]
    except (UserError, OSError):
        return ""


def _is_of_parts(line: str) -> bool:
    """Whether a line reads like a label and all its coordinates are parts of an image."""
    return _is_label(line) and all(0 <= value <= 1 + OUTSIDE for value in (_numbers(line) or [])[1:])


def _is_label(line: str) -> bool:
    """Whether a line reads like a label."""
    values = _numbers(line)
    return values is not None and len(values) >= 5 and values[0].is_integer()
