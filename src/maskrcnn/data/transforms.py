"""The drawn view of a training image: its size, a crop, turns and flips (the colours: `colour.py`)."""

from __future__ import annotations

import numpy as np

from maskrcnn.config.augmentation import Augmentation
from maskrcnn.data.geometry import View
from maskrcnn.data.large_images import LargeImages, Sizes
from maskrcnn.ops.resize import resized_size
from maskrcnn.structures import Size
from maskrcnn.structures.masks import FloatArray

OBJECT_CROP_PROBABILITY = 0.75
"""How often a random crop is placed so that it contains the centre of an object (of an image that has any)."""


def draw_view(
    size: Size,
    boxes: FloatArray,
    augmentation: Augmentation,
    sizes: Sizes,
    generator: np.random.Generator,
    large: LargeImages | None = None,
) -> View:
    """Draw what is seen of an image: its size, then a crop, then turns and flips.

    Args:
        size: (height, width) of the original image.
        boxes: (G, 4) objects in it, which crops prefer to contain.
        augmentation: what may be drawn.
        sizes: how large an image becomes.
        generator: the only source of randomness.
        large: the image is one of these; None: it is seen as a whole by the network.
    """
    new_size = draw_size(size, augmentation, sizes, generator, large)
    view = View.whole(size, new_size)
    if crop_size := augmentation.crop_size or (0 if large is None else large.side(sizes)):
        view = draw_crop(size, new_size, boxes, crop_size, generator)
    if augmentation.quarter_turns:
        view = view.turn(int(generator.integers(4)))
    horizontal, vertical = generator.random(2) < (augmentation.horizontal_flip, augmentation.vertical_flip)
    return view.flip(bool(horizontal), bool(vertical))


def draw_size(
    size: Size,
    augmentation: Augmentation,
    sizes: Sizes,
    generator: np.random.Generator,
    large: LargeImages | None = None,
) -> Size:
    """Draw the (height, width) the whole image would get; a large one is scaled as a tile of it is."""
    min_size = int(generator.choice(augmentation.min_sizes or (sizes.min_size,)))
    height, width = resized_size(size, min_size, sizes.max_size, sizes.shrink, sizes.rounding == "nearest")
    factor = float(generator.uniform(*augmentation.scale_range))
    if large is not None:
        (height, width), factor = size, factor * large.side(sizes, min_size) / large.tile
    elif not augmentation.crop_size:
        factor = min(factor, sizes.max_size / max(height, width))
    return max(1, int(height * factor)), max(1, int(width * factor))


def draw_crop(size: Size, new_size: Size, boxes: FloatArray, crop_size: int, generator: np.random.Generator) -> View:
    """Draw a square part of the resized image.

    The part is cut at whole pixels of the original, so the scale differs from the image's by less than a pixel over
    the side of the crop.
    """
    target = None
    if len(boxes) and generator.random() < OBJECT_CROP_PROBABILITY:
        x1, y1, x2, y2 = boxes[generator.integers(len(boxes))]
        target = ((y1 + y2) / 2, (x1 + x2) / 2)
    spans, sides = [], []
    for axis in (0, 1):
        output_side = min(crop_size, new_size[axis])
        side = min(size[axis], max(1, round(output_side * size[axis] / new_size[axis])))
        start = draw_start(size[axis], side, None if target is None else target[axis], generator)
        spans.append((start, start + side))
        sides.append(output_side)
    (y1, y2), (x1, x2) = spans
    return View((x1, y1, x2, y2), (sides[0], sides[1]))


def draw_start(length: int, side: int, target: float | None, generator: np.random.Generator) -> int:
    """Draw where a part of `side` pixels starts on an axis of `length`, evenly among those that contain `target`."""
    low, high = 0, length - side
    if target is not None:
        pixel = min(int(target), length - 1)
        low, high = max(low, pixel - side + 1), min(high, pixel)
    return int(generator.integers(low, high + 1))
