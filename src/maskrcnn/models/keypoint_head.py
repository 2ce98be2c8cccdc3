"""The keypoint branch (Mask R-CNN section 5): for each RoI and keypoint, in which of m x m cells it lies.

Shapes: R RoIs, D detections, P keypoints, S side of the RoI features; the maps have m = 4 S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
from maskrcnn.ops.keypoints import KeypointRule, decode_keypoints, encode_keypoints, keypoint_loss
from maskrcnn.structures import Detections, Targets


class KeypointHead(RoIBranch):
    """3x3 convolutions, a deconvolution to P maps, and bilinear upsampling (section 5, "Implementation Details").

    The maps are the same for all classes; only objects with labelled keypoints train them.

    Args:
        pooler: gives the RoI features.
        in_channels: C.
        num_keypoints: P.
        num_convs: 3x3 convolutions before the deconvolution, each with ReLU.
        channels: their width.
        rule: how maps become points and scores, see `decode_keypoints`.
        shift: from the points that the maps were trained on to continuous coordinates, `original` pixels.
        loss_weight: factor of L_keypoint.
    """

    keypoint_outputs = ("upsample",)

    def __init__(
        self,
        pooler: RoIPooler,
        in_channels: int,
        num_keypoints: int,
        *,
        num_convs: int = 8,
        channels: int = 512,
        rule: KeypointRule = "detectron2",
        shift: float = 0.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(pooler, loss_weight)
        self.num_keypoints = num_keypoints
        self.rule: KeypointRule = rule
        self.shift = shift
        layers: list[nn.Module] = []
        for i in range(num_convs):
            layers += [*conv_norm(channels if i else in_channels, channels, 3, norm=None), nn.ReLU(inplace=True)]
        self.convs = nn.Sequential(*layers)
        self.upsample = nn.ConvTranspose2d(channels if num_convs else in_channels, num_keypoints, 4, 2, padding=1)
        nn.init.kaiming_normal_(self.upsample.weight, mode="fan_out", nonlinearity="relu")
        assert self.upsample.bias is not None
        nn.init.zeros_(self.upsample.bias)

    def forward(self, roi_features: Tensor) -> Tensor:
        """Keypoint logits (R, P, 4 S, 4 S) of RoI features (R, C, S, S)."""
        maps = self.upsample(self.convs(roi_features))
        return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)

    def loss(self, features: RoIFeatures, rois: Sequence[SampledRoIs], targets: Sequence[Targets]) -> Losses:
        """L_keypoint on the positive RoIs that have something to learn.

        Raises:
            UserError: objects with another number of keypoints than the branch has maps.
        """
        rows = self.select(rois, targets)
        roi_features = features.of_rois(self.pooler, rois, rows)
        chosen = [own.take(visible) for own, visible in zip(rois, rows, strict=True)]
        return Losses(keypoint=self.loss_weight * self.loss_of(roi_features, chosen, targets))

    def predict(self, features: RoIFeatures, detections: Sequence[Detections]) -> list[Detections]:
        """With the keypoints (D, P, 3) of each image's objects."""
        boxes = [found.boxes for found in detections]
        keypoints = features.in_chunks(
            self.pooler,
            boxes,
            lambda roi_features, chunk: self.decode(self(roi_features), torch.cat(list(chunk.boxes))),
        )
        per_image = torch.cat(keypoints).split([own.shape[0] for own in boxes])
        return [replace(found, keypoints=own) for found, own in zip(detections, per_image, strict=True)]

    def select(self, sampled: Sequence[SampledRoIs], targets: Sequence[Targets]) -> list[Tensor]:
        """Of each image, the rows (V,) of the positives to learn from: a labelled keypoint of their object is inside.

        Raises:
            UserError: objects with another number of keypoints than the branch has maps.
        """
        rows = []
        for rois, target in zip(sampled, targets, strict=True):
            _, valid = encode_keypoints(self._truth(rois, target), rois.positive_boxes, (1, 1))
            rows.append(valid.any(dim=1).nonzero()[:, 0])
        return rows

    def loss_of(self, roi_features: Tensor, selected: Sequence[SampledRoIs], targets: Sequence[Targets]) -> Tensor:
        """L_keypoint on the RoIs whose rows `select` chose: a softmax over the m^2 cells for each visible keypoint."""
        logits = self(roi_features).float()
        truth = [self._truth(rois, target) for rois, target in zip(selected, targets, strict=True)]
        boxes = torch.cat([rois.positive_boxes for rois in selected])
        return keypoint_loss(logits, *encode_keypoints(torch.cat(truth), boxes, (logits.shape[-2], logits.shape[-1])))

    def decode(self, logits: Tensor, boxes: Tensor) -> Tensor:
        """(D, P, 3) x, y, score, from logits (D, P, m, m) and the boxes (D, 4) they were computed for."""
        return decode_keypoints(logits, boxes, self.rule)

    def finish(self, detections: Detections) -> Detections:
        """With its points, as decoded in the `original` frame, in continuous coordinates."""
        keypoints = detections.keypoints
        if keypoints is None or self.shift == 0:
            return detections
        return replace(detections, keypoints=keypoints + keypoints.new_tensor([self.shift, self.shift, 0]))

    def _truth(self, rois: SampledRoIs, target: Targets) -> Tensor:
        """(R, P, 3) the keypoints of each positive RoI's object; not labelled where the data has none."""
        if target.keypoints is None:
            return rois.boxes.new_zeros((rois.num_positives, self.num_keypoints, 3))
        if target.keypoints.shape[1] != self.num_keypoints:
            raise UserError(
                f"targets: expected {self.num_keypoints} keypoints for each object, as the keypoint branch has, got "
                f"{target.keypoints.shape[1]}; build the model with num_keypoints={target.keypoints.shape[1]}"
            )
        return target.keypoints[rois.gt_indices]
