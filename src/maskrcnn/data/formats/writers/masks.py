"""Label images: `images/`, and `masks/X.png` of 16 bits with a number for each object; classes are not in it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrcnn.data.formats.writers.scene import Item, Loss, Scene, copy_picture, save
from maskrcnn.masks.rle import rle_area
from maskrcnn.structures import Size

OVERLAP = "pixels belong to several objects; each went to one of them"
COVERED = "objects have no pixel of their own and are missing"
TOO_MANY = "objects are more than their image has room for in this form, and are missing"
CLASSES = "classes are not in this form, only objects"


def write(scene: Scene, folder: Path) -> Loss:
    loss = Loss({CLASSES: len(scene.classes)} if len(scene.classes) > 1 else {})
    for picture in scene.pictures:
        copy_picture(picture.source, folder / "images" / picture.split / picture.name)
        values = numbered(list(picture.with_masks(loss)), picture.size, np.uint16, loss)
        save(folder / "masks" / picture.split / f"{picture.stem}.png", png(values))
    return +loss


def numbered(
    items: list[Item], size: Size, dtype: type[np.unsignedinteger], loss: Loss
) -> npt.NDArray[np.unsignedinteger]:
    """(H, W) 1 for the first object, 2 for the second, ...; as many as the type holds.

    The largest is drawn first and the smallest last, so that an object within another one stays to be seen.
    """
    values = np.zeros(size, dtype)
    drawn = list(enumerate(items[: np.iinfo(dtype).max], start=1))
    for number, item in sorted(drawn, key=lambda numbered: -rle_area(numbered[1].rle)):
        inside = item.bitmap != 0
        loss[OVERLAP] += int((values[inside] > 0).sum())
        values[inside] = number
    loss[COVERED] += len(drawn) - _num_seen(values)
    loss[TOO_MANY] += len(items) - len(drawn)
    return values


def _num_seen(values: npt.NDArray[np.unsignedinteger]) -> int:
    """How many numbers other than 0 there are; row by row, since indices take eight bytes a pixel."""
    seen = np.zeros(np.iinfo(values.dtype).max + 1, bool)
    for row in values:
        seen[row] = True
    return int(np.count_nonzero(seen[1:]))


def png(values: npt.NDArray[np.unsignedinteger], palette: list[int] | None = None) -> bytes:
    image, stream = Image.fromarray(values), io.BytesIO()
    if palette is not None:
        image.putpalette(palette)
    image.save(stream, "PNG")
    return stream.getvalue()
