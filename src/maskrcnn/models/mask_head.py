"""The mask branch (Mask R-CNN section 3): an m x m mask for each RoI and class, in parallel to class and box.

Shapes: R RoIs, K classes, M masks per RoI (K; 1 if class-agnostic; one more for the background if classes compete).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.errors import UserError
from maskrcnn.models.branches import RoIBranch
from maskrcnn.models.losses import Losses
from maskrcnn.models.norm import conv_norm
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.roi_features import RoIFeatures
from maskrcnn.models.sampling import SampledRoIs
from maskrcnn.ops.losses import mask_competition_loss, mask_loss
from maskrcnn.ops.mask_crops import crop_masks
from maskrcnn.structures import Detections, Size, Targets


class MaskHead(RoIBranch):
    """What all mask branches share: which mask is meant, and what it should be.

    Args:
        pooler: gives the RoI features.
        num_classes: K.
        loss_weight: factor of L_mask.
        class_agnostic: one mask for all classes.
        competing: classes and background compete for each pixel (softmax), instead of a sigmoid per class (table 2b).
        target_aligned: where pixel centres lie when the ground truth is cropped.
        target_binary: round the cropped ground truth to 0 or 1.
    """

    class_outputs = ("mask_logits",)

    def __init__(
        self,
        pooler: RoIPooler,
        num_classes: int,
        *,
        loss_weight: float = 1.0,
        class_agnostic: bool = False,
        competing: bool = False,
        target_aligned: bool = True,
        target_binary: bool = False,
    ) -> None:
        super().__init__(pooler, loss_weight)
        self.class_agnostic = class_agnostic
        self.competing = competing
        self.num_masks = (1 if class_agnostic else num_classes) + (1 if competing else 0)
        self.target_aligned = target_aligned
        self.target_binary = target_binary

    @abstractmethod
    def all_logits(self, roi_features: Tensor) -> Tensor:
        """(R, M, m, m) logits of every mask; if classes compete, background is the last."""

    def forward(self, roi_features: Tensor, labels: Tensor) -> Tensor:
        """Mask logits (R, m, m) of RoI features (R, C, S, S), each for its own class in `labels` (R,).

        Only the mask of one class is ever used: the true one in training, the one the box branch chose in prediction.
        """
        logits = self.all_logits(roi_features)
        own = logits[torch.arange(labels.shape[0], device=labels.device), self.mask_index(labels)]
        if not self.competing:
            return own
        # log(p / (1 - p)) of the softmax, so that a sigmoid gives p here as well.
        others = logits.masked_fill(self._is_own(logits, labels), -torch.inf)
        return own - others.logsumexp(dim=1)

    def mask_index(self, labels: Tensor) -> Tensor:
        """(R,) which of the M masks belongs to each label."""
        return torch.zeros_like(labels) if self.class_agnostic else labels

    def _is_own(self, logits: Tensor, labels: Tensor) -> Tensor:
        masks = torch.arange(self.num_masks, device=labels.device)
        return (masks == self.mask_index(labels)[:, None])[:, :, None, None].expand_as(logits)

    def loss(self, features: RoIFeatures, rois: Sequence[SampledRoIs], targets: Sequence[Targets]) -> Losses:
        """L_mask on the positive RoIs; the target is the object's mask cropped by the RoI at m x m.

        Raises:
            UserError: objects without masks.
        """
        roi_features = features.of_rois(self.pooler, rois, [slice(own.num_positives) for own in rois])
        return Losses(mask=self.loss_weight * self.loss_of(roi_features, rois, targets))

    def predict(self, features: RoIFeatures, detections: Sequence[Detections]) -> list[Detections]:
        """With the probabilities (D, m, m) of each image's masks."""
        boxes, labels = [found.boxes for found in detections], torch.cat([found.labels for found in detections])
        logits = features.in_chunks(
            self.pooler, boxes, lambda roi_features, chunk: self(roi_features, labels[chunk.rows])
        )
        probs = torch.cat(logits).float().sigmoid().split([own.shape[0] for own in boxes])
        return [replace(found, mask_probs=own) for found, own in zip(detections, probs, strict=True)]

    def loss_of(self, roi_features: Tensor, sampled: Sequence[SampledRoIs], targets: Sequence[Targets]) -> Tensor:
        """L_mask from the features (R, C, S, S) of the positive RoIs."""
        labels = torch.cat([rois.labels[: rois.num_positives] for rois in sampled])
        if self.competing:
            logits = self.all_logits(roi_features)
            return mask_competition_loss(
                logits.float(), self.mask_index(labels), self._targets(sampled, targets, _size(logits))
            )
        logits = self(roi_features, labels)
        return mask_loss(logits.float(), self._targets(sampled, targets, _size(logits)))

    def _targets(self, sampled: Sequence[SampledRoIs], targets: Sequence[Targets], size: Size) -> Tensor:
        cropped = torch.cat([self._crops(rois, target, size) for rois, target in zip(sampled, targets, strict=True)])
        return (cropped >= 0.5).to(cropped.dtype) if self.target_binary else cropped

    def _crops(self, rois: SampledRoIs, target: Targets, size: Size) -> Tensor:
        if target.masks is not None:
            return crop_masks(target.masks, rois.positive_boxes, rois.gt_indices, size, aligned=self.target_aligned)
        if len(target):
            raise UserError(
                f"targets: expected a mask for each object, which the mask branch learns from, got {len(target)} "
                "object(s) with boxes alone; give masks, or build the model with mask_head.enabled=false"
            )
        return rois.boxes.new_zeros((0, *size))


def _size(logits: Tensor) -> Size:
    """(height, width) of masks (..., m, m)."""
    return int(logits.shape[-2]), int(logits.shape[-1])


class FCNMaskHead(MaskHead):
    """A small fully convolutional network (figure 4, right): 3x3 convolutions, 2x2 deconvolution, 1x1 to M masks.

    Args:
        pooler: gives the RoI features.
        in_channels: C; masks have twice the RoI features' height and width.
        num_classes: K.
        num_convs: 3x3 convolutions before the deconvolution.
        channels: their width.
        norm: a name from `models.norm.NORMS`, or None.
        options: further arguments of `MaskHead`.
    """

    def __init__(
        self,
        pooler: RoIPooler,
        in_channels: int,
        num_classes: int,
        *,
        num_convs: int = 4,
        channels: int = 256,
        norm: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(pooler, num_classes, **options)
        layers: list[nn.Module] = []
        for i in range(num_convs):
            layers += [
                *conv_norm(in_channels if i == 0 else channels, channels, 3, norm=norm),
                nn.ReLU(inplace=True),
            ]
        self.convs = nn.Sequential(*layers)
        self.upsample = nn.ConvTranspose2d(channels if num_convs else in_channels, channels, 2, stride=2)
        self.mask_logits = nn.Conv2d(channels, self.num_masks, 1)
        nn.init.kaiming_normal_(self.upsample.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.mask_logits.weight, std=0.001)  # start undecided: every pixel near probability 0.5
        for layer in (self.upsample, self.mask_logits):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def all_logits(self, roi_features: Tensor) -> Tensor:
        """(R, M, m, m) logits of every mask."""
        logits: Tensor = self.mask_logits(F.relu(self.upsample(self.convs(roi_features)), inplace=True))
        return logits


class MLPMaskHead(MaskHead):
    """Two fully connected layers, then one for all pixels of all masks (table 2e): the layout of the pixels is lost.

    Args:
        pooler: gives the RoI features.
        in_channels: C.
        num_classes: K.
        roi_size: height and width of the RoI features; masks have twice as many pixels.
        fc_channels: width of the layers.
        options: further arguments of `MaskHead`.
    """

    def __init__(
        self,
        pooler: RoIPooler,
        in_channels: int,
        num_classes: int,
        *,
        roi_size: tuple[int, int],
        fc_channels: int = 1024,
        **options: Any,
    ) -> None:
        super().__init__(pooler, num_classes, **options)
        self.mask_size = 2 * roi_size[0], 2 * roi_size[1]
        self.fcs = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * math.prod(roi_size), fc_channels),
            nn.ReLU(inplace=True),
            nn.Linear(fc_channels, fc_channels),
            nn.ReLU(inplace=True),
        )
        self.mask_logits = nn.Linear(fc_channels, self.num_masks * math.prod(self.mask_size))
        nn.init.normal_(self.mask_logits.weight, std=0.001)
        nn.init.zeros_(self.mask_logits.bias)

    def all_logits(self, roi_features: Tensor) -> Tensor:
        """(R, M, m, m) logits of every mask."""
        logits: Tensor = self.mask_logits(self.fcs(roi_features))
        return logits.view(-1, self.num_masks, *self.mask_size)
