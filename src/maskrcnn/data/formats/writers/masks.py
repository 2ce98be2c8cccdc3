"""Label images: `images/`, and `masks/X.png` of 16 bits with a number for each object; classes are not in it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrcnn.data.formats.writers.scene import Item, Loss, Scene, copy_picture, save
from maskrcnn.structures import Size

OVERLAP = "pixels belong to several objects; they went to the first"
COVERED = "objects are wholly covered by others and are missing in the mask"
CLASSES = "classes are not in this form, only objects"


def write(scene: Scene, folder: Path) -> Loss:
    loss = Loss({CLASSES: len(scene.classes)} if len(scene.classes) > 1 else {})
    for picture in scene.pictures:
        copy_picture(picture.source, folder / "images" / picture.split / picture.name)
        values = numbered(list(picture.with_masks(loss)), picture.size, np.uint16, loss)
        save(folder / "masks" / picture.split / f"{picture.stem}.png", png(values))
    return loss


def numbered(
    items: list[Item], size: Size, dtype: type[np.unsignedinteger], loss: Loss
) -> npt.NDArray[np.unsignedinteger]:
    """(H, W) 1 for the first object, 2 for the second, ...; as many as the type holds."""
    values = np.zeros(size, dtype)
    room = int(np.iinfo(dtype).max)
    if len(items) > room:
        loss[f"objects are more than {room} in their image, all that this form has room for"] += len(items) - room
    for number, item in enumerate(items[:room], start=1):
        inside = item.bitmap != 0
        shared = int((values[inside] > 0).sum())
        loss[OVERLAP] += shared
        loss[COVERED] += int(0 < inside.sum() == shared)
        values[inside & (values == 0)] = number
    for sentence in (OVERLAP, COVERED):
        if not loss[sentence]:
            del loss[sentence]
    return values


def png(values: npt.NDArray[np.unsignedinteger], palette: list[int] | None = None) -> bytes:
    image, stream = Image.fromarray(values), io.BytesIO()
    if palette is not None:
        image.putpalette(palette)
    image.save(stream, "PNG")
    return stream.getvalue()
