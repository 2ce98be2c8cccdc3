"""Random changes of the training images: these settings are what the transforms in `data/` read themselves.

The only file of `config/` that rooms below it import.
"""

from __future__ import annotations

from dataclasses import dataclass

from maskrcnn.config.checks import require, require_fraction


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training images are varied; each draws from the sample's own generator."""

    min_sizes: tuple[int, ...] = ()
    """Short sides to choose from at random, each with equal probability; empty: `input.min_size`."""
    scale_range: tuple[float, float] = (1.0, 1.0)
    """Extra random factor on the size, drawn evenly (large-scale jitter: 0.1 to 2.0)."""
    crop_size: int = 0
    """Cut a square of this many input pixels at a random place; 0: none. A side of the image that is shorter stays
    whole; `input.max_size` does not limit the image then."""
    horizontal_flip: float = 0.5
    """Probability."""
    vertical_flip: float = 0.0
    """Probability."""
    quarter_turns: bool = False
    """Turn by 0, 90, 180 or 270 degrees, with equal probability."""
    brightness: float = 0.0
    """Strength s: the factor is drawn evenly from 1 - s to 1 + s."""
    contrast: float = 0.0
    """As brightness."""
    saturation: float = 0.0
    """As brightness."""
    hue: float = 0.0
    """The largest shift, in turns of the colour circle."""
    grey: float = 0.0
    """Probability of an image without colours."""
    negative: float = 0.0
    """Probability of dark for bright, as between fluorescent and stained cells."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, float):
                require_fraction(f"augment.{name}", value)
        low, high = self.scale_range
        require(0 < low <= high, "augment.scale_range", "(low, high) with 0 < low <= high", self.scale_range)
