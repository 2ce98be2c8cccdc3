"""Images that are too large for a network as a whole: which are, and the scale at which it sees parts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.ops.resize import resized_size
from maskrcnn.structures import Size


class Sizes(Protocol):
    """How large images are made, such as the settings of `input`."""

    @property
    def min_size(self) -> int: ...
    @property
    def max_size(self) -> int: ...
    @property
    def shrink(self) -> bool: ...
    @property
    def antialias(self) -> bool: ...
    @property
    def rounding(self) -> str: ...


def loses_detail(size: Size, sizes: Sizes) -> bool:
    """Whether an image is made smaller for the network than any that it was trained on.

    Known of models that see images at their own size (`input.shrink` is false): the others were shown small and large
    ones at one size.
    """
    return not sizes.shrink and max(resized_size(size, sizes.min_size, sizes.max_size, False)) < max(size)


@dataclass(frozen=True)
class LargeImages:
    """The rule by which prediction cuts images into tiles, and training sees crops of them.

    Attributes:
        tile: side of a tile, pixels of the image: the network sees it as it sees any image of that size.
        max_pixels: larger images are never decoded as a whole.
        by_detail: whether images are large, too, that would lose detail; not for networks that see images as a whole.
        fill: the values of each channel where an image has no data.
    """

    tile: int
    max_pixels: int = MAX_PIXELS
    by_detail: bool = True
    fill: tuple[int, ...] = (0, 0, 0)

    def hold(self, size: Size, sizes: Sizes) -> bool:
        """Whether an image of (height, width) is one of them."""
        return size[0] * size[1] > self.max_pixels or (self.by_detail and loses_detail(size, sizes))

    def side(self, sizes: Sizes, min_size: int | None = None) -> int:
        """The side of a tile as the network sees it; `min_size` instead of that of `sizes`."""
        tile = (self.tile, self.tile)
        return resized_size(tile, min_size or sizes.min_size, sizes.max_size, sizes.shrink)[0]

    def input_size(self, size: Size, sizes: Sizes) -> Size:
        """(height, width) of an image as the network sees it, in one piece or in several."""
        if not self.hold(size, sizes):
            return resized_size(size, sizes.min_size, sizes.max_size, sizes.shrink, sizes.rounding == "nearest")
        scale = self.side(sizes) / self.tile
        return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
