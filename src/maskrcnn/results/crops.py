"""Objects cut out: a folder per image, a PNG per object, transparent outside its mask."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from maskrcnn.results.file_names import plain_name
from maskrcnn.viz.crops import cut_out

if TYPE_CHECKING:
    from maskrcnn.results.finished import Finished, FinishedImage

MARGIN = 8
"""Pixels of the image around an object."""


def write(finished: Finished, folder: Path) -> Counter[str]:
    """`X/0001_class.png` for the first object of image X, ..."""
    loss = Counter[str]()
    for image in finished:
        _write_image(image, folder / image.stem, loss)
    return loss


def _write_image(image: FinishedImage, folder: Path, loss: Counter[str]) -> None:
    found = image.prediction
    folder.mkdir(parents=True, exist_ok=True)
    masks = found.run_lengths if found.has_masks else None
    pictures = cut_out(found.image(), masks, found.boxes, MARGIN) if len(found) else ()
    for one, pixels in zip(found, pictures, strict=True):
        if not pixels.size:
            loss["objects lie outside their image, so nothing can be cut out"] += 1
            continue
        path = folder / f"{one.index + 1:04d}_{plain_name(one.name)}.png"
        Image.fromarray(pixels).save(path, "PNG", compress_level=1)
