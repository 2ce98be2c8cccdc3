"""LabelMe: a JSON file beside each image; polygons, with a group for several parts, and bitmaps."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from maskrcnn.data.formats.content import Json
from maskrcnn.data.formats.labelme import IGNORED
from maskrcnn.data.formats.writers.scene import Item, Loss, Picture, Scene, copy_picture, save
from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_crops import crop_rle

VERSION = "5.7.0"


def write(scene: Scene, folder: Path) -> Loss:
    loss = Loss()
    for picture in scene.pictures:
        copy_picture(picture.source, folder / picture.split / picture.name)
        save(folder / picture.split / f"{picture.stem}.json", json.dumps(_content(picture, loss), indent=1))
    return loss


def _content(picture: Picture, loss: Loss) -> Json:
    shapes = [
        shape for group, item in enumerate(picture.with_masks(loss, crowds=True)) for shape in _shapes(item, group)
    ]
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": picture.name,
        "imageData": None,
        "imageHeight": picture.size[0],
        "imageWidth": picture.size[1],
    }


def _shapes(item: Item, group: int) -> Iterator[Json]:
    """One shape, or one for each part; a crowd is `__ignore__`, and a score stands where people write notes."""
    label, note = IGNORED if item.crowd else item.label, "" if item.score is None else f"score {item.score:.4g}"
    base: Json = {"label": label, "group_id": None, "flags": {}, "description": note}
    if not item.rings:
        yield {**base, **_bitmap(item)}
    for ring in item.rings:
        points = [list(point) for point in zip(ring[::2], ring[1::2], strict=True)]
        shared = {"group_id": group} if len(item.rings) > 1 else {}
        yield {**base, **shared, "points": points, "shape_type": "polygon", "mask": None}


def _bitmap(item: Item) -> Json:
    """The pixels of its box; the second point is the last pixel."""
    x1, y1, x2, y2 = window = rle_window(item.rle)
    stream = io.BytesIO()
    Image.fromarray(crop_rle(item.rle, window) * 255).save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    return {"points": [[x1, y1], [x2 - 1, y2 - 1]], "shape_type": "mask", "mask": text}
