"""The data: where it lies, and how training images are varied."""

from __future__ import annotations

from dataclasses import dataclass

from maskrcnn.config.checks import require, require_fraction


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the data lies. A data directory holds `images/`, `instances_train.json`, `instances_val.json`."""

    root: str = ""
    train_annotations: str = "instances_train.json"
    val_annotations: str = "instances_val.json"
    images: str = "images"
    train_proposals: str = ""
    """COCO results with the boxes that a model without RPN learns from, for example the predictions of an RPN alone."""
    val_proposals: str = ""
    balance_by: str = ""
    """Field of the image records (for example a microscope's name) by whose values images are of different kinds: a
    kind of n images is then drawn in proportion to the root of n. Empty: all images equally often."""
    num_workers: int = 2
    max_pixels: int = 200_000_000
    """Images that claim more are refused before they are decoded."""


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of the training images; each draws from the sample's own generator."""

    min_sizes: tuple[int, ...] = ()
    """Short sides to choose from at random; empty: `input.min_size`."""
    scale_range: tuple[float, float] = (1.0, 1.0)
    """Extra random factor on the size (large-scale jitter: 0.1 to 2.0)."""
    crop_size: int = 0
    """Cut a square of this many input pixels at a random place; 0: none."""
    horizontal_flip: float = 0.5
    vertical_flip: float = 0.0
    quarter_turns: bool = False
    """Turn by 0, 90, 180 or 270 degrees."""
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
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
