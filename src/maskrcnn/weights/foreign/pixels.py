"""How other libraries feed an image to the network: order of the channels, mean, spread; and where blocks stride.

None of this can be seen in the weights (but in some older files of detectron2, which hold mean and spread).
Our models take RGB in [0, 1]. So the first convolution's input channels are put into that order, and mean and spread,
which count in steps of 0..255 there, are divided by 255; the weights themselves stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from maskrcnn.config import Config
from maskrcnn.weights.foreign.names import BACKBONE

_STEM = f"{BACKBONE}.stem.0.weight"
_BYTE = 255.0
_OLDER_CAFFE2 = "res_conv1_bn_s"
"""Only in ResNeXts as Caffe2 published them first, for images that are not divided by a spread."""


@dataclass(frozen=True)
class PixelStyle:
    """One library's or network family's habit.

    Attributes:
        order: of the channels that the network sees.
        mean: per channel in this order, 0 to 255.
        std: the same.
        stride_in_1x1: where bottlenecks stride.
    """

    order: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stride_in_1x1: bool

    def __str__(self) -> str:
        where = "1x1" if self.stride_in_1x1 else "3x3"
        return f"{self.order}, mean {self.mean}, std {self.std}, stride in the {where} convolutions"

    def apply(self, config: Config) -> Config:
        """The settings of a model with these habits, whose own channels are in RGB order."""
        return replace(
            config,
            input=replace(config.input, mean=self._in_rgb(self.mean), std=self._in_rgb(self.std)),
            resnet=replace(config.resnet, stride_in_1x1=self.stride_in_1x1),
        )

    def to_rgb(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights for the same channels in RGB order."""
        changed = dict(tensors)
        if self.order == "BGR" and _STEM in changed:
            changed[_STEM] = changed[_STEM].flip(1)
        return changed

    def _in_rgb(self, values: tuple[float, float, float]) -> tuple[float, float, float]:
        first, second, third = (value / _BYTE for value in values)
        return (first, second, third) if self.order == "RGB" else (third, second, first)


STYLES: dict[str, PixelStyle] = {
    "msra": PixelStyle("BGR", (103.53, 116.28, 123.675), (1.0, 1.0, 1.0), stride_in_1x1=True),
    "fair": PixelStyle("BGR", (103.53, 116.28, 123.675), (1.0, 1.0, 1.0), stride_in_1x1=False),
    "resnext": PixelStyle("BGR", (103.53, 116.28, 123.675), (57.375, 57.12, 58.395), stride_in_1x1=False),
    "torch": PixelStyle("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), stride_in_1x1=False),
}
"""MSRA's ResNets (detectron2's R-50 and R-101); Caffe2's other networks, such as those with group norm; detectron2's
X-101; torchvision's networks."""


def likely_style(config: Config, tensors: Mapping[str, Tensor], author: str) -> str:
    """The style of detectron2's published models of this kind.

    Args:
        config: what was found out about the network.
        tensors: the file's, in its own names.
        author: who made the file, if it says so.
    """
    if author == "torchvision" or _first_mean(tensors) > 110:  # red is brighter than blue
        return "torch"
    if config.backbone.name.startswith("resnext"):
        return "fair" if _OLDER_CAFFE2 in tensors else "resnext"
    return "fair" if config.backbone.norm == "gn" else "msra"


def _first_mean(tensors: Mapping[str, Tensor]) -> float:
    """The mean that was subtracted from the first channel, as older files tell; 0 if the file does not say."""
    mean = tensors.get("pixel_mean", torch.zeros(1))
    return float(mean.flatten()[0]) if mean.numel() else 0.0
