"""Label Studio: `images/` and `tasks.json`; one polygon is a polygon, anything else a brush, which is exact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from maskrcnn.data.formats.content import Json
from maskrcnn.data.formats.writers.scene import CROWD, Item, Loss, Picture, Scene, copy_picture, save
from maskrcnn.structures.masks import ByteArray

COUNT_BITS = (3, 4, 8, 16)
"""The four lengths that a count may have."""


def write(scene: Scene, folder: Path) -> Loss:
    loss, tasks = Loss(), []
    for number, picture in enumerate(scene.pictures, start=1):
        copy_picture(picture, folder / "images" / picture.split / picture.name)
        loss[CROWD] += sum(item.crowd for item in picture.items)
        tasks.append(_task(number, picture))
    save(folder / "tasks.json", json.dumps(tasks))
    return +loss


def _task(number: int, picture: Picture) -> Json:
    items = [item for item in picture.items if not item.crowd]
    result = [_region(f"{number}-{place}", item) for place, item in enumerate(items)]
    image = f"{picture.split}/{picture.name}" if picture.split else picture.name
    return {"id": number, "data": {"image": image}, "annotations": [{"result": result, "was_cancelled": False}]}


def _region(name: str, item: Item) -> Json:
    height, width = item.size
    kind, value = _value(item, 100 / width, 100 / height)
    base = {"id": name, "from_name": "label", "to_name": "image", "original_width": width, "original_height": height}
    return {**base, "image_rotation": 0, "type": kind, "value": {**value, kind: [item.label]}}


def _value(item: Item, across: float, down: float) -> tuple[str, Json]:
    """In percent of the image."""
    if item.segmentation is None:
        x, y, width, height = item.box
        box = {"x": x * across, "y": y * down, "width": width * across, "height": height * down, "rotation": 0}
        return "rectanglelabels", box
    if len(item.rings) == 1:
        ring = item.rings[0]
        points = [[x * across, y * down] for x, y in zip(ring[::2], ring[1::2], strict=True)]
        return "polygonlabels", {"points": points, "closed": True}
    return "brushlabels", {"format": "rle", "rle": encode_brush(item.bitmap)}


def encode_brush(bitmap: ByteArray) -> list[int]:
    """The stream of bits that `decode_brush` reads: runs of equal values, four for each pixel."""
    values = np.repeat(bitmap.reshape(-1) != 0, 4)
    ends = [*np.flatnonzero(np.diff(values)).tolist(), len(values) - 1]
    bits = [f"{len(values):032b}", f"{8 - 1:05b}", *(f"{width - 1:04b}" for width in COUNT_BITS)]
    start = 0
    for end in ends:
        bits += _runs(end + 1 - start, 255 * int(values[end]))
        start = end + 1
    stream = "".join(bits)
    return np.packbits(np.frombuffer(stream.encode(), np.uint8) - ord("0")).tolist()


def _runs(length: int, value: int) -> list[str]:
    """Records of one run; the longest that a count can say first."""
    records = []
    while length:
        place = next((place for place, width in enumerate(COUNT_BITS) if length <= 1 << width), len(COUNT_BITS) - 1)
        part = min(length, 1 << COUNT_BITS[place])
        records.append(f"1{place:02b}{part - 1:0{COUNT_BITS[place]}b}{value:08b}")
        length -= part
    return records
