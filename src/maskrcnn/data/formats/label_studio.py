"""Label Studio's JSON: a list of tasks with polygons, boxes, ellipses and brush strokes.

https://labelstud.io/guide/export. Coordinates are percent of the original picture. A brush is a stream of bits of its
own kind, decoded here to the pixel; its exports to COCO lose holes. Of several annotators' labels the newest are taken,
unless cancelled. A task that is skipped or not labelled yet says nothing about its image, which is left out; one that
is finished without a region is background. Where no task of a file has annotations, as in results that this package
writes, the newest prediction of each is read; where some have, predictions are proposals for tasks yet to be done. A
rectangle is a box, unless it is turned.
"""

from __future__ import annotations

import math
import re
from typing import Any

from maskrcnn.data.formats.bitmaps import rle_at
from maskrcnn.data.formats.content import ContentBuilder, Json, LabelContent
from maskrcnn.data.formats.json_files import first_json, json_files
from maskrcnn.data.formats.listing import Listing, folder_of, split_of
from maskrcnn.data.formats.shapes import (
    Flat,
    ellipse,
    entries,
    mapping,
    numbers,
    points_of,
    rectangle,
    scaled,
    stated_size,
    turned,
)
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.masks.brush import decode_brush
from maskrcnn.structures import RLE, Size
from maskrcnn.text import brief

LOOKED_FOR = "Label Studio's JSON (a list of tasks with annotations or predictions)"

_UPLOAD = re.compile(r"(?<![^/])[0-9a-f]{8}-(?=[^/]*$)")
"""What Label Studio puts before the name of an uploaded file."""

_LABELS = frozenset({"annotations", "predictions"})

_WITHOUT_AREA = ("keypoint", "vector", "timeserieslabels")


def recognise(listing: Listing) -> bool:
    return any(_is_tasks(listing.peek(name)) for name in first_json(listing))


def read(listing: Listing) -> LabelContent:
    builder = ContentBuilder(listing.path, listing.root)
    for name, content in json_files(listing, builder, _is_tasks):
        tasks = entries(content)
        is_predicted = not any(entries(task.get("annotations")) for task in tasks)
        for number, task in enumerate(tasks):
            where = f"{name}: task {brief(task.get('id', number))}"
            picture, results = _picture(listing, task, folder_of(name)), _results(task, is_predicted, where, builder)
            if results is None:
                builder.fault(Fault.TASK_UNFINISHED, where)
                builder.report.dropped.add(picture)
            else:
                _read_task(listing, picture, results, where, builder)
    return builder.content()


def _is_tasks(content: Any) -> bool:
    tasks = entries(content)
    return bool(tasks) and all(
        isinstance(task.get("data"), dict) and not _LABELS.isdisjoint(task) for task in tasks[:10]
    )


def _read_task(listing: Listing, picture: str, results: list[Json], where: str, builder: ContentBuilder) -> None:
    size = next((size for result in results if (size := _size(result)) is not None), None)
    image = builder.add_image(picture, size or listing.size(picture), split_of(picture))
    for result in results:
        _add(result, f"{where}: {brief(result.get('id'))}", image, builder)


def _results(task: Json, is_predicted: bool, where: str, builder: ContentBuilder) -> list[Json] | None:
    """The results of the newest annotator, or of the newest prediction; None where nobody has finished."""
    done = [entry for entry in entries(task.get("annotations")) if entry.get("was_cancelled") is not True]
    if len(done) > 1:
        builder.fault(Fault.SEVERAL_ANNOTATORS, where, f"{len(done)} times")
    if is_predicted and (done := entries(task.get("predictions"))):
        builder.fault(Fault.PREDICTED, where)
    newest = max(done, key=lambda entry: str(entry.get("updated_at") or entry.get("created_at") or ""), default=None)
    return None if newest is None else entries(newest.get("result"))


def _picture(listing: Listing, task: Json, beside: str) -> str:
    """The image: under the name it had when it was uploaded, or under the one that the task gives it."""
    data = mapping(task.get("data"))
    stated = [task.get("file_upload"), data.get("image"), *data.values()]
    names = [_plain(value) for value in stated if isinstance(value, str) and value]
    spelt = [name for plain in names for name in (plain, _UPLOAD.sub("", plain))]
    found = [listing.picture(name, beside) for name in spelt]
    return next((name for name in found if listing.has(name)), found[0] if found else "")


def _plain(stated: str) -> str:
    """A name from a URL or a local path: what follows `?d=`, without the server."""
    return re.sub(r"^\w+://[^/]*/", "", re.sub(r"^.*\?d=", "", stated))


def _size(result: Json) -> Size | None:
    return stated_size(result.get("original_height"), result.get("original_width"))


def _add(result: Json, where: str, image: int, builder: ContentBuilder) -> None:
    """One region; results that label the whole picture, or relate two regions, are none."""
    kind, value, size = (
        result.get("type"),
        mapping(result.get("value")),
        _size(result),
    )
    if not isinstance(kind, str) or kind in ("choices", "textarea", "relation", "rating", "labels", "taxonomy"):
        return
    labels = value.get(kind)
    label = labels[0] if isinstance(labels, list) and labels else None
    if isinstance(labels, list) and len(labels) > 1:
        builder.fault(Fault.SEVERAL_LABELS, where, brief(labels))
    if kind.startswith(_WITHOUT_AREA):
        builder.fault(Fault.SHAPE_WITHOUT_AREA, where, kind)
    elif not kind.startswith(("polygon", "rectangle", "ellipse", "brush")):
        builder.fault(Fault.SHAPE_UNKNOWN, where, kind)
    elif size is None:
        builder.fault(Fault.SHAPE_MALFORMED, where, "original_width and original_height")
    elif kind.startswith("brush"):
        _add_brush(value, label, size, where, image, builder)
    elif (outline := _outline(kind, value, size)) is None:
        builder.fault(Fault.SHAPE_MALFORMED, where, brief(value))
    elif kind.startswith("rectangle") and not value.get("rotation"):
        builder.add_box(image, label, [*outline[:2], *outline[4:6]], where)
    else:
        builder.add_polygons(image, label, [outline], where)


def _outline(kind: str, value: Json, size: Size) -> Flat | None:
    """In pixels; a turn is about the rectangle's first corner or the ellipse's centre, in pixels too."""
    across, down = size[1] / 100, size[0] / 100
    if kind.startswith("polygon"):
        points = points_of(value.get("points"))
        return scaled(points, across, down) if points is not None else None
    is_ellipse = kind.startswith("ellipse")
    names = ("x", "y", "radiusX", "radiusY") if is_ellipse else ("x", "y", "width", "height")
    values, angles = numbers([value.get(name) for name in names]), numbers([value.get("rotation") or 0])
    if values is None or angles is None:
        return None
    (x, y, a, b), angle = scaled(values, across, down), math.radians(angles[0])
    return ellipse(x, y, a, b, angle) if is_ellipse else turned(rectangle(x, y, x + a, y + b), x, y, angle)


# --- brush ------------------------------------------------------------------------------------------------------


def _add_brush(value: Json, label: Any, size: Size, where: str, image: int, builder: ContentBuilder) -> None:
    try:
        mask = brush_rle(value.get("rle"), size)
    except UserError as error:
        builder.failure(Fault.SHAPE_MALFORMED, where, error)
        return
    if mask is None:
        builder.fault(Fault.SHAPE_WITHOUT_AREA, where, "empty brush")
    else:
        builder.add_rle(image, label, mask, where)


def brush_rle(stream: Any, size: Size) -> RLE | None:
    """The mask of a brush: where the last of its four channels, the opacity, is not zero; None where it is empty."""
    if size[0] * size[1] > MAX_PIXELS:
        raise UserError(f"a brush of a picture of more than {MAX_PIXELS} pixels; draw polygons there")
    pixels = decode_brush(stream, 4 * size[0] * size[1])
    opacity = pixels.reshape(*size, 4)[..., 3] > 0
    return rle_at(opacity, 0, 0, size) if opacity.any() else None
