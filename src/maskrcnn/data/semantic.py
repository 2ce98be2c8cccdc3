"""The class of every pixel, drawn from the objects of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from maskrcnn.data.geometry import View
from maskrcnn.data.targets import DrawnMask, draw_mask
from maskrcnn.masks.rle import rle_area
from maskrcnn.structures import RLE, Polygons
from maskrcnn.structures.labels import LabelStore
from maskrcnn.structures.masks import ByteArray, FloatArray
from maskrcnn.structures.semantic import IGNORED


def draw_semantic(labels: LabelStore, image: int, view: View, values: ByteArray, background: int) -> ByteArray:
    """The label map (h, w) of an image as seen through a view.

    A pixel belongs to the smallest object on it, and of equally large ones to the later. Where there is none but a
    crowd or another ignored region, it is `IGNORED`.

    Args:
        labels: of the data set.
        image: number of the image.
        view: what is seen of it.
        values: (K,) what stands in the map for each class.
        background: what stands there for no class.
    """
    pixels = np.full(view.output_size, background, np.uint8)
    for number in _from_large_to_small(labels, image):
        value = IGNORED if labels.ignore[number] else values[int(labels.labels[number])]
        _paint(pixels, _draw(labels, number, image, view), int(value))
    return pixels


def draw_owners(labels: LabelStore, image: int, view: View) -> npt.NDArray[np.int32]:
    """(h, w) the number of the object or ignored region that each pixel belongs to, by the same rule; -1 for none."""
    owners = np.full(view.output_size, -1, np.int32)
    for number in _from_large_to_small(labels, image):
        _paint(owners, _draw(labels, number, image, view), number)
    return owners


def _paint(pixels: npt.NDArray[Any], drawn: DrawnMask, value: int) -> None:
    x1, y1, x2, y2 = drawn.window
    pixels[y1:y2, x1:x2][drawn.crop != 0] = value


def _from_large_to_small(labels: LabelStore, image: int) -> list[int]:
    """Ignored regions, then objects by the area of their masks in the `original` frame; equal ones in their order."""
    size = labels.size(image)
    masks = {number: labels.mask(number, size) for number in labels.objects(image)}
    return sorted(masks, key=lambda number: (not labels.ignore[number], -_area(masks[number])))


def _area(mask: Polygons | RLE | None) -> float:
    """Pixels; of polygons by the shoelace formula, ring by ring."""
    if isinstance(mask, RLE):
        return float(rle_area(mask))
    return 0.0 if mask is None else sum(map(_ring_area, mask.rings))


def _ring_area(ring: FloatArray) -> float:
    x, y = ring.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _draw(labels: LabelStore, number: int, image: int, view: View) -> DrawnMask:
    """A mask; of what is known by its box alone, which is an ignored region, every pixel that the box touches."""
    mask = labels.mask(number, labels.size(image))
    if mask is not None:
        return draw_mask(mask, view)
    height, width = view.output_size
    box = np.clip(view.boxes(labels.boxes[number : number + 1].numpy())[0], 0, [width, height] * 2)
    x1, y1, x2, y2 = (int(v) for v in (*np.floor(box[:2]), *np.ceil(box[2:])))
    return DrawnMask(np.ones((y2 - y1, x2 - x1), np.uint8), (x1, y1, x2, y2))
