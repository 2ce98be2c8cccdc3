"""What a branch is: one more output for each region, or for every pixel, with a loss of its own.

A branch's name is that of its section in the settings, and the first part of the names of its weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from maskrcnn.models.losses import Losses
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.roi_features import RoIFeatures
from maskrcnn.models.sampling import SampledRoIs
from maskrcnn.structures import Detections, ImageBatch, Targets


class RoIBranch(nn.Module, ABC):
    """Outputs for each region, parallel to class and box (section 3): its mask, its keypoints, how good its mask is.

    Args:
        pooler: how its RoI features are cut out; it may ask for others as well.
        loss_weight: factor of its loss.
    """

    class_outputs: ClassVar[tuple[str, ...]] = ()
    """Layers with outputs for each class, which mean nothing to other classes."""
    keypoint_outputs: ClassVar[tuple[str, ...]] = ()
    """Layers with outputs for each keypoint."""

    def __init__(self, pooler: RoIPooler, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.pooler = pooler
        self.loss_weight = loss_weight

    @abstractmethod
    def loss(self, features: RoIFeatures, rois: Sequence[SampledRoIs], targets: Sequence[Targets]) -> Losses:
        """Its losses by name, times their weights; RoIs and targets of each image, `input` frame."""

    @abstractmethod
    def predict(self, features: RoIFeatures, detections: Sequence[Detections]) -> list[Detections]:
        """Each image's detections (`input` frame) with what the branch predicts about them; scores may change."""

    def finish(self, detections: Detections) -> Detections:
        """What is left to do once an image's detections are in the `original` frame; nothing as a rule."""
        return detections


class DenseBranch(nn.Module, ABC):
    """Outputs for every pixel, such as its class, so it reads whole maps, of which P2 is the first."""

    @abstractmethod
    def loss(self, maps: Sequence[Tensor], batch: ImageBatch, targets: Sequence[Targets]) -> Losses:
        """Its losses by name, times their weights.

        Args:
            maps: (N, C, h, w) each, finest first.
            batch: the images that they were made from.
            targets: of each image, `input` frame.
        """

    @abstractmethod
    def predict(self, maps: Sequence[Tensor], batch: ImageBatch, detections: Sequence[Detections]) -> list[Detections]:
        """Each image's detections (`input` frame), as the RoI branches left them, with what this one predicts."""
