"""The mask branch (Mask R-CNN section 3): an m x m mask for each RoI and class, in parallel to class and box."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.models.norm import conv_norm
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.sampling import SampledRoIs
from maskrcnn.ops.losses import mask_loss
from maskrcnn.ops.mask_crops import crop_masks
from maskrcnn.structures import Detections, Targets

MAX_ROIS = 256


class MaskHead(nn.Module):
    """A small fully convolutional network (figure 4, right): 3x3 convolutions, 2x2 deconvolution, 1x1 to K masks.

    Args:
        pooler: gives (R, C, S, S) RoI features; masks have m = 2 S.
        in_channels: C.
        num_classes: K.
        num_convs: 3x3 convolutions before the deconvolution.
        channels: their width.
        norm: a name from `models.norm.NORMS`, or None.
        class_agnostic: one mask for all classes.
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
        class_agnostic: bool = False,
    ) -> None:
        super().__init__()
        self.pooler = pooler
        self.num_masks = 1 if class_agnostic else num_classes
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

    @property
    def mask_size(self) -> int:
        """m, pixels per side of a mask."""
        return 2 * self.pooler.options.output_size

    def forward(self, features: Sequence[Tensor], boxes: Sequence[Tensor], labels: Tensor) -> Tensor:
        """Mask logits (R, m, m) of the boxes of all images, each for its own class in `labels` (R,).

        Only the mask of one class is ever used: the true one in training, the one the box branch chose in
        prediction. So the last 1x1 convolution computes that one alone, not all K.
        """
        x = F.relu(self.upsample(self.convs(self.pooler(features, boxes))), inplace=True)
        channel = labels if self.num_masks > 1 else torch.zeros_like(labels)
        weight = self.mask_logits.weight[channel, :, 0, 0]  # (R, C)
        rows = x.permute(0, 2, 3, 1).flatten(1, 2)  # (R, m m, C)
        assert self.mask_logits.bias is not None
        logits = torch.bmm(rows, weight[:, :, None])[..., 0] + self.mask_logits.bias[channel, None]
        return logits.view(-1, *x.shape[-2:])

    def loss(self, features: Sequence[Tensor], sampled: Sequence[SampledRoIs], targets: Sequence[Targets]) -> Tensor:
        """L_mask on the positive RoIs; the target is the object's mask cropped by the RoI at m x m."""
        logits = self(
            features,
            [rois.positive_boxes for rois in sampled],
            torch.cat([rois.labels[: rois.num_positives] for rois in sampled]),
        )
        crops = [
            crop_masks(target.masks, rois.positive_boxes, rois.gt_indices, self.mask_size)
            for rois, target in zip(sampled, targets, strict=True)
            if target.masks is not None
        ]
        return mask_loss(logits.float(), torch.cat(crops))

    def predict(self, features: Sequence[Tensor], detections: Sequence[Detections]) -> list[Tensor]:
        """Mask probabilities (D, m, m) of each image's detections, boxes in the `input` frame.

        At most `MAX_ROIS` go through the layers at once: with 256 channels, 1,000 would need 0.8 GB in one of them.
        """
        return [
            torch.cat(
                [
                    self([level[i : i + 1] for level in features], [boxes], labels).float().sigmoid()
                    for boxes, labels in zip(found.boxes.split(MAX_ROIS), found.labels.split(MAX_ROIS), strict=True)
                ]
            )
            for i, found in enumerate(detections)
        ]
