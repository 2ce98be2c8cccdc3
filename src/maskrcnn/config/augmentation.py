"""Random changes of the training images: these settings are what the transforms in `data/` read themselves.

The only file of `config/` that rooms below it import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from maskrcnn.config.checks import Fraction, Length, Pixels, Range, Section, require

_Factor = Annotated[float, Range(0, 100, above=True)]


@dataclass(frozen=True, kw_only=True)
class Augmentation(Section, name="augment"):
    """How training images are varied; each draws from the sample's own generator."""

    min_sizes: Annotated[tuple[Pixels, ...], Length(0, 65536)] = ()
    """Short sides to choose from at random, each with equal probability; empty: `input.min_size`."""
    scale_range: tuple[_Factor, _Factor] = (1.0, 1.0)
    """Extra random factor on the size, drawn evenly (large-scale jitter: 0.1 to 2.0)."""
    crop_size: Annotated[int, Range(0, 65536)] = 0
    """Cut a square of this many input pixels at a random place; 0: none. A side of the image that is shorter stays
    whole; `input.max_size` does not limit the image then."""
    pad_crops: bool = False
    """Fill up with grey, on the right and below, what `crop_size` leaves shorter: all images get one size."""
    horizontal_flip: Fraction = 0.5
    """Probability."""
    vertical_flip: Fraction = 0.0
    """Probability."""
    quarter_turns: bool = False
    """Turn by 0, 90, 180 or 270 degrees, with equal probability."""
    brightness: Fraction = 0.0
    """Strength s: the factor is drawn evenly from 1 - s to 1 + s."""
    contrast: Fraction = 0.0
    """As brightness."""
    saturation: Fraction = 0.0
    """As brightness."""
    hue: Fraction = 0.0
    """The largest shift, in turns of the colour circle."""
    grey: Fraction = 0.0
    """Probability of an image without colours."""
    negative: Fraction = 0.0
    """Probability of dark for bright, as between fluorescent and stained cells."""
    copy_paste: Fraction = 0.0
    """Probability that objects of another training image, itself varied at random, are pasted on an image (Ghiasi et
    al. 2021). The other one is of the same group, where `data.balance_by` tells groups apart."""
    paste_fraction: Fraction = 0.5
    """Probability of each object of the other image to be among them; 0.5: all subsets are equally likely."""

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.scale_range
        require(low <= high, "augment.scale_range", "(low, high) with low <= high", self.scale_range)
        padless = self.crop_size or not self.pad_crops
        require(bool(padless), "augment.pad_crops", "false without augment.crop_size", self.pad_crops)
