"""Label maps: drawn over their image, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from maskrcnn.files import write_atomically
from maskrcnn.marks import mark_options
from maskrcnn.structures import Categories
from maskrcnn.structures.masks import ByteArray, Masks
from maskrcnn.viz.colours import instance_colour
from maskrcnn.viz.labels import Label, draw_labels
from maskrcnn.viz.overlay import text_height

_SHARE = 0.45
"""Of the colour in a tinted pixel."""


def tint_classes(image: ByteArray, label_map: ByteArray, num_classes: int) -> ByteArray:
    """A copy of the (H, W, 3) RGB image with the pixels of each class in its colour; background stays as it is."""
    tinted = image.copy()
    for label in _classes_in(label_map, num_classes):
        inside = label_map == label
        colour = np.array(instance_colour(label))
        tinted[inside] = np.rint(image[inside] * (1 - _SHARE) + colour * _SHARE).astype(np.uint8)
    return tinted


def stuff_alone(label_map: ByteArray, categories: Categories, masks: Masks) -> ByteArray:
    """The label map with background where it has things, which are drawn as objects, and where objects are.

    All of it where no class is stuff: then it says what the objects do not.
    """
    if not categories.stuff:
        return label_map
    kept = np.where(np.isin(label_map, sorted(categories.stuff)), label_map, np.uint8(len(categories)))
    for index, (x1, y1, x2, y2) in enumerate(masks.windows.tolist()):
        kept[y1:y2, x1:x2][masks.crop(index).view(bool)] = len(categories)
    return kept


def name_classes(picture: ByteArray, label_map: ByteArray, names: Sequence[str]) -> ByteArray:
    """The picture of an image, perhaps enlarged by a whole factor, with the name of each class above its pixels."""
    factor = picture.shape[0] // max(label_map.shape[0], 1)
    tags = []
    for label in _classes_in(label_map, len(names)):
        rows, columns = (np.flatnonzero((label_map == label).any(axis=axis)) * float(factor) for axis in (1, 0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1]))
        tags.append(Label(names[label], box, instance_colour(label)))
    named = picture.copy()
    draw_labels(named, tags, text_height(picture))
    return named


def save_label_map(path: Path, label_map: ByteArray, num_classes: int) -> None:
    """Write a PNG whose values are the map's, with a palette to look at it: background is black.

    Raises:
        UserError: it cannot be written.
    """
    image = Image.fromarray(label_map)  # greyscale; a palette makes it "P", values unchanged
    image.putpalette([channel for label in range(num_classes) for channel in instance_colour(label)] + [0, 0, 0])
    write_atomically(path, lambda partial: image.save(partial, "PNG", **mark_options("PNG")))


def class_shares(label_map: ByteArray, names: Sequence[str]) -> dict[str, float]:
    """Which part of the image belongs to each class that is in it, by name."""
    return {names[label]: float((label_map == label).mean()) for label in _classes_in(label_map, len(names))}


def _classes_in(label_map: ByteArray, num_classes: int) -> list[int]:
    return [label for label in np.unique(label_map).tolist() if label < num_classes]
