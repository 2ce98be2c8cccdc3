"""Images of which the network sees too little: what is small in them cannot be found."""

from __future__ import annotations

from dataclasses import dataclass

from maskrcnn.config import Config
from maskrcnn.large.tiling import natural_tile
from maskrcnn.ops.resize import resized_size

MOST = 4.0
"""Times that a side may shrink without a report. A large photograph shrinks threefold for a model trained on COCO."""


@dataclass
class Shrinking:
    """Over the images of a run, whose sizes are added one by one."""

    config: Config
    num_images: int = 0
    largest: float = 0.0
    largest_size: tuple[int, int] = (0, 0)

    def add(self, size: tuple[int, int]) -> None:
        """Take note of an image of (height, width) pixels."""
        settings = self.config.input
        factor = max(size) / max(resized_size(size, settings.min_size, settings.max_size, settings.shrink))
        self.num_images += factor > MOST
        if factor > self.largest:
            self.largest, self.largest_size = factor, size

    def warning(self) -> str | None:
        """One line, or None where nothing is lost."""
        if self.largest <= MOST:
            return None
        height, width = self.largest_size
        images = "1 image was" if self.num_images == 1 else f"{self.num_images} images were"
        return (
            f"warning: {images} made much smaller for the network, up to {self.largest:.1f} times ({width} x {height} "
            "pixels); small objects in them are not found: cut such images into tiles, for example with --tile "
            f"{natural_tile(self.config.input)}"
        )
