"""Random changes of training images: one drawn view for the geometry, one drawn change for the colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from maskrcnn.data.colour import ColourChange, draw_colour_change
from maskrcnn.data.geometry import View
from maskrcnn.ops.resize import resized_size
from maskrcnn.structures import Size
from maskrcnn.structures.masks import FloatArray

OBJECT_CROP_PROBABILITY = 0.75
"""How often a random crop is placed so that it contains the centre of an object (of an image that has any)."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training images are resized and varied; the defaults only resize.

    Attributes:
        min_sizes: short sides to choose from at random, each with equal probability.
        max_size: limit of the long side; crops are exempt, since their size is bounded anyway.
        shrink: False: never make an image smaller to reach the short side.
        antialias: filter when shrinking.
        round_to_nearest: how a resized side becomes a whole number; False: fractions are cut off.
        scale_range: extra random factor on the size, drawn evenly.
        crop_size: side in output pixels of a square cut out at random; 0: none. A side of the image that is
            shorter stays whole.
        horizontal_flip: probability.
        vertical_flip: probability.
        quarter_turns: turn by 0, 90, 180 or 270 degrees, with equal probability.
        brightness: strength s; the factor is drawn from 1 - s to 1 + s.
        contrast: as brightness.
        saturation: as brightness.
        hue: the largest shift, in turns of the colour circle.
        grey: probability of an image without colours.
        negative: probability of dark for bright, as between fluorescent and stained cells.
    """

    min_sizes: tuple[int, ...] = (800,)
    max_size: int = 1333
    shrink: bool = True
    antialias: bool = True
    round_to_nearest: bool = False
    scale_range: tuple[float, float] = (1.0, 1.0)
    crop_size: int = 0
    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    quarter_turns: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    negative: float = 0.0

    def draw_colours(self, generator: np.random.Generator) -> ColourChange:
        """Draw how the colours change."""
        return draw_colour_change(
            generator,
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
            hue=self.hue,
            grey=self.grey,
            negative=self.negative,
        )


def draw_view(size: Size, boxes: FloatArray, augmentation: Augmentation, generator: np.random.Generator) -> View:
    """Draw what is seen of an image: its size, then a crop, then turns and flips.

    Args:
        size: (height, width) of the original image.
        boxes: (G, 4) objects in it, which crops prefer to contain.
        augmentation: what may be drawn.
        generator: the only source of randomness.
    """
    new_size = draw_size(size, augmentation, generator)
    view = View.whole(size, new_size)
    if augmentation.crop_size:
        view = draw_crop(size, new_size, boxes, augmentation.crop_size, generator)
    if augmentation.quarter_turns:
        view = view.turn(int(generator.integers(4)))
    horizontal, vertical = generator.random(2) < (augmentation.horizontal_flip, augmentation.vertical_flip)
    return view.flip(bool(horizontal), bool(vertical))


def draw_size(size: Size, augmentation: Augmentation, generator: np.random.Generator) -> Size:
    """Draw the (height, width) the whole image would get."""
    min_size = int(generator.choice(augmentation.min_sizes))
    height, width = resized_size(
        size, min_size, augmentation.max_size, augmentation.shrink, augmentation.round_to_nearest
    )
    factor = float(generator.uniform(*augmentation.scale_range))
    if not augmentation.crop_size:
        factor = min(factor, augmentation.max_size / max(height, width))
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
