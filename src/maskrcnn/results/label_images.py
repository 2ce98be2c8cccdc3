"""Label images: `images/`, and in `masks/` a number for each object; classes are not in it.

`X.png` of 16 bits, as Cellpose and StarDist have them; `X.tif`, a BigTIFF of 32 bits in tiles, where an image has more
pixels than programs like to open at once or more objects than 16 bits can count.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskrcnn.data.formats.writers.masks import CLASSES, COVERED, OVERLAP, png
from maskrcnn.data.formats.writers.scene import BOX_ALONE, Loss, copy_picture, save, turned
from maskrcnn.errors import UserError
from maskrcnn.files import write_atomically
from maskrcnn.large.overview import MAX_PIXELS
from maskrcnn.large.strips import LabelStrips, Numbers
from maskrcnn.results.outlined import EMPTY
from maskrcnn.structures import Size

if TYPE_CHECKING:
    from maskrcnn.results.finished import Finished, FinishedImage

TILE = 512
"""Side of the tiles of a TIFF, pixels."""

MOST = int(np.iinfo(np.uint16).max)
"""Objects of a PNG."""


def write(finished: Finished, folder: Path) -> Loss:
    """Image by image; those above `MAX_PIXELS` strip by strip."""
    loss = Loss({CLASSES: len(finished.categories)} if len(finished.categories) > 1 else {})
    for image in finished:
        copy_picture(image.path, folder / "images" / image.file_name)
        loss += turned(image.path, image.size)
        _write_image(image, folder / "masks", loss)
    return +loss


def _write_image(image: FinishedImage, folder: Path, loss: Loss) -> None:
    without_masks = sum(len(part) for part in image.parts() if not part.has_masks)
    if without_masks:
        loss[BOX_ALONE] += without_masks
    labels = LabelStrips(lambda: (part for part in image.parts() if part.has_masks), image.size)
    painted, seen = 0, np.zeros(len(labels) + 1, bool)

    def strips(rows: int) -> Iterator[Numbers]:
        nonlocal painted
        for strip in labels.strips(rows):
            painted += int(np.count_nonzero(strip))
            for row in strip:  # as indices of all rows at once would take eight bytes a pixel
                seen[row] = True
            yield strip

    height, width = image.size
    if height * width > MAX_PIXELS or len(labels) > MOST:
        write_label_tiff(folder / f"{image.stem}.tif", strips(TILE), image.size)
    else:
        save(folder / f"{image.stem}.png", png(next(strips(height)).astype(np.uint16)))
    empty = labels.areas == 0
    area = int(labels.areas.sum())
    loss.update({OVERLAP: area - painted, COVERED: int((~seen[1:] & ~empty).sum()), EMPTY: int(empty.sum())})


def write_label_tiff(path: Path, strips: Iterator[Numbers], size: Size) -> None:
    """Write numbers as a tiled BigTIFF of 32 bits.

    Args:
        path: the file, replaced in one instant.
        strips: (TILE, width) from top to bottom; the last may have fewer rows.
        size: (height, width).

    Raises:
        UserError: `tifffile` is missing, or the file cannot be written.
    """
    try:
        import tifffile
    except ImportError:
        raise UserError(
            f"{path}: a label image of this size needs the library tifffile; install it: pip install tifffile"
        ) from None
    form = {"shape": size, "dtype": np.uint32, "tile": (TILE, TILE), "photometric": "minisblack", "metadata": None}
    # One thread: others would be handed all tiles before the first is written.
    options = {"bigtiff": True, "compression": "zlib", "maxworkers": 1, **form}
    write_atomically(path, lambda partial: tifffile.imwrite(partial, _tiles(strips), **options))


def _tiles(strips: Iterator[Numbers]) -> Iterator[Numbers]:
    """(TILE, TILE), row by row; 0 beyond the edge."""
    for strip in strips:
        rows, width = strip.shape
        whole = np.pad(strip, ((0, TILE - rows), (0, -width % TILE)))
        for left in range(0, width, TILE):
            yield np.ascontiguousarray(whole[:, left : left + TILE])
