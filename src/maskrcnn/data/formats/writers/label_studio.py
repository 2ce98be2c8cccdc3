"""Label Studio: `images/`, `tasks.json` and `config.xml`, the labelling interface of a project that takes these tasks.

One polygon is a polygon, anything else a brush, which is exact. A tag of an interface makes regions of one kind, so
each kind has a tag of its own, named like the kind. What a model has found are predictions with scores, which people
turn into annotations (https://labelstud.io/guide/predictions). Images are addressed as files of the machine that Label
Studio runs on, below the folder that LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT names: the one that is written here.
"""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from maskrcnn.data.formats.content import Json
from maskrcnn.data.formats.writers.scene import CROWD, Item, Loss, Picture, Scene, copy_picture, save
from maskrcnn.masks.brush import encode_brush

TAGS = {"polygonlabels": "PolygonLabels", "brushlabels": "BrushLabels", "rectanglelabels": "RectangleLabels"}
"""By the kind of region."""


def write(scene: Scene, folder: Path) -> Loss:
    loss, tasks = Loss(), []
    for number, picture in enumerate(scene.pictures, start=1):
        copy_picture(picture.source, folder / "images" / picture.split / picture.name)
        loss[CROWD] += sum(item.crowd for item in picture.items)
        tasks.append(_task(number, picture, scene.model))
    save(folder / "tasks.json", json.dumps(tasks))
    save(folder / "config.xml", _interface(scene.classes))
    return +loss


def _interface(classes: list[str]) -> bytes:
    root = Element("View")
    SubElement(root, "Image", name="image", value="$image")
    for kind, tag in TAGS.items():
        labels = SubElement(root, tag, name=kind, toName="image")
        for name in classes:
            SubElement(labels, "Label", value=name)
    indent(root)
    return bytes(tostring(root, encoding="utf-8"))


def _task(number: int, picture: Picture, model: str | None) -> Json:
    items = [item for item in picture.items if not item.crowd]
    result = [_region(f"{number}-{place}", item) for place, item in enumerate(items)]
    file = Path("images", picture.split, picture.name).as_posix()
    data = {"image": f"/data/local-files/?d={quote(file)}"}
    if model is None:
        return {"id": number, "data": data, "annotations": [{"result": result, "was_cancelled": False}]}
    score = sum(item.score or 0.0 for item in items) / max(len(items), 1)
    return {"id": number, "data": data, "predictions": [{"model_version": model, "score": score, "result": result}]}


def _region(name: str, item: Item) -> Json:
    height, width = item.size
    kind, value = _value(item, 100 / width, 100 / height)
    base = {"id": name, "from_name": kind, "to_name": "image", "original_width": width, "original_height": height}
    scored = {} if item.score is None else {"score": item.score}
    return {**base, "image_rotation": 0, "type": kind, "value": {**value, kind: [item.label]}, **scored}


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
