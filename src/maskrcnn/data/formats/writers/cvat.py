"""CVAT for images: `images/` and `annotations.xml`; polygons with a group for several parts, bitmaps as run lengths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from maskrcnn.data.formats.writers.scene import CROWD, Item, Loss, Scene, copy_picture, save
from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_crops import crop_rle

SCORE = "score"
"""The attribute of what a model has found."""


def write(scene: Scene, folder: Path) -> Loss:
    loss, root = Loss(), Element("annotations")
    SubElement(root, "version").text = "1.1"
    labels = SubElement(SubElement(SubElement(root, "meta"), "task"), "labels")
    for name in scene.classes:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = name
        if scene.model is not None:
            _allow_score(label)
    for number, picture in enumerate(scene.pictures):
        copy_picture(picture.source, folder / "images" / picture.split / picture.name)
        image = SubElement(root, "image", id=str(number), name=picture.name, width=str(picture.size[1]))
        image.set("height", str(picture.size[0]))
        if picture.split:
            image.set("subset", picture.split)
        loss[CROWD] += sum(item.crowd for item in picture.items)
        for group, item in enumerate((item for item in picture.items if not item.crowd), start=1):
            for tag, attributes in _shapes(item, group):
                shape = SubElement(image, tag, {"label": item.label, "occluded": "0", **attributes, "z_order": "0"})
                if item.score is not None:
                    SubElement(shape, "attribute", name=SCORE).text = f"{item.score:.4g}"
    indent(root)
    save(folder / "annotations.xml", tostring(root, encoding="utf-8", xml_declaration=True))
    return +loss


def _allow_score(label: Element) -> None:
    """As text, since CVAT's numbers have steps; where the labels of a project have no score, it leaves it out."""
    attribute = SubElement(SubElement(label, "attributes"), "attribute")
    said = {"name": SCORE, "mutable": "False", "input_type": "text", "default_value": "", "values": ""}
    for name, text in said.items():
        SubElement(attribute, name).text = text


def _shapes(item: Item, group: int) -> Iterator[tuple[str, dict[str, str]]]:
    if item.segmentation is None:
        x, y, width, height = item.box
        corners = {"xtl": x, "ytl": y, "xbr": x + width, "ybr": y + height}
        yield "box", {name: repr(float(value)) for name, value in corners.items()}
    elif not item.rings:
        yield "mask", _mask(item)
    shared = {"group_id": str(group)} if len(item.rings) > 1 else {}
    for ring in item.rings:
        points = ";".join(f"{float(x)!r},{float(y)!r}" for x, y in zip(ring[::2], ring[1::2], strict=True))
        yield "polygon", {"points": points, **shared}


def _mask(item: Item) -> dict[str, str]:
    """Runs along the rows of its box, zeros first."""
    x1, y1, x2, y2 = window = rle_window(item.rle)
    pixels = crop_rle(item.rle, window).reshape(-1).astype(np.int8)
    ends = np.flatnonzero(np.diff(pixels, prepend=np.int8(0)))
    counts = np.diff([0, *ends.tolist(), len(pixels)]).tolist()
    box = {"left": x1, "top": y1, "width": x2 - x1, "height": y2 - y1}
    return {"rle": ", ".join(map(str, counts)), **{name: str(value) for name, value in box.items()}}
