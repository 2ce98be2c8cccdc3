"""Images of which the network sees too little: what is small in them cannot be found."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from maskrcnn.config import Config
from maskrcnn.large.tiling import is_cut, natural_tile
from maskrcnn.ops.resize import resized_size
from maskrcnn.prediction import Prediction
from maskrcnn.structures import Size

MOST = 4.0
"""Times that a side may shrink without a report. A large photograph shrinks threefold for a model trained on COCO."""

_IN_TILES = "predict_large finds it, in tiles"
_DENSE = (
    "a model that tells the class of every pixel does not take tiles: train one with a larger input.max_size (and "
    "input.min_size)"
)


class ShrunkImage(UserWarning):
    """An image should have been cut into tiles; the commands say it in their own words."""


def lost_scale(size: Size, config: Config) -> float | None:
    """The scale at which the network sees an image of (height, width), where `predict` would cut it or warn; else None.

    0.25: sides of a quarter.
    """
    factor = _factor(size, config)
    return 1 / factor if factor > MOST or is_cut(lambda: size, "auto", config) else None


def _factor(size: Size, config: Config) -> float:
    settings = config.input
    return max(size) / max(resized_size(size, settings.min_size, settings.max_size, settings.shrink))


def warned(predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """The same predictions; the first one of an image that should have been cut comes with a `ShrunkImage`."""
    said = False
    for prediction in predictions:
        if prediction.shrunk is not None and not said:
            height, width = prediction.image_size
            is_dense = prediction.semantic is not None
            warnings.warn(
                f"an image of {width} x {height} pixels was made {1 / prediction.shrunk:.1f} times smaller for the "
                f"network, which does not see what is small in it; {_DENSE if is_dense else _IN_TILES}",
                ShrunkImage,
                stacklevel=2,
            )
            said = True
        yield prediction


@dataclass
class Shrinking:
    """Over the images of a run, whose sizes are added one by one."""

    config: Config
    num_images: int = 0
    largest: float = 0.0
    largest_size: tuple[int, int] = (0, 0)

    def add(self, size: tuple[int, int]) -> None:
        """Take note of an image of (height, width) pixels."""
        factor = _factor(size, self.config)
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
            f"pixels); what is small in them is not found: {self._advice()}"
        )

    def _advice(self) -> str:
        if self.config.semantic_head.enabled:
            return _DENSE
        return f"cut such images into tiles, for example with --tile {natural_tile(self.config.input)}"
