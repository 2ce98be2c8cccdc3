"""Pascal VOC: `JPEGImages/`, palette pictures of objects and classes, `class_names.txt`, and the splits.

Eight bits hold 254 objects of an image and 254 classes; 255 is border.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskrcnn.data.formats.voc import BORDER, palette
from maskrcnn.data.formats.writers.masks import TOO_MANY, numbered, png
from maskrcnn.data.formats.writers.scene import Loss, Picture, Scene, copy_picture, save
from maskrcnn.errors import UserError
from maskrcnn.masks.rle import decode_rle


def write(scene: Scene, folder: Path) -> Loss:
    if len(scene.classes) >= BORDER:
        raise UserError(
            f"{folder}: Pascal VOC holds {BORDER - 1} classes, got {len(scene.classes)}; write another form"
        )
    loss, splits = Loss(), dict[str, list[str]]()
    save(folder / "class_names.txt", "".join(f"{name}\n" for name in ("_background_", *scene.classes)))
    for picture in scene.pictures:
        copy_picture(picture.source, folder / "JPEGImages" / picture.name)
        _write_masks(picture, scene.classes, folder, loss)
        splits.setdefault(picture.split, []).append(f"{picture.stem}\n")
    for split, stems in splits.items():
        if split:
            save(folder / "ImageSets" / "Segmentation" / f"{split}.txt", "".join(stems))
    return +loss


def _write_masks(picture: Picture, classes: list[str], folder: Path, loss: Loss) -> None:
    items = list(picture.with_masks(loss))
    ignored = [decode_rle(item.rle) != 0 for item in picture.items if item.crowd and item.segmentation is not None]
    objects = numbered(items[: BORDER - 1], picture.size, np.uint8, loss)
    loss[TOO_MANY] += len(items[BORDER - 1 :])
    numbers = np.array([0, *(classes.index(item.label) + 1 for item in items[: BORDER - 1])], np.uint8)
    labels = numbers[objects]
    for region in ignored:
        labels[region & (objects == 0)] = BORDER
    for name, values in {"SegmentationObject": objects, "SegmentationClass": labels}.items():
        save(folder / name / f"{picture.stem}.png", png(values, _colours()))


def _colours() -> list[int]:
    return [int(part) for colour in palette() for part in (colour >> 16, (colour >> 8) & 255, colour & 255)]
