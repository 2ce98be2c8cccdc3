"""The class and box branch (Fast R-CNN): what is in each RoI, and where exactly?

Shapes: R RoIs of all images, K classes, background = logit K.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskrcnn.models.losses import Losses
from maskrcnn.models.norm import conv_norm
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.roi_features import RoIFeatures
from maskrcnn.models.sampling import RoISampler, SampledRoIs
from maskrcnn.ops.boxes import BoxWeights, clip_boxes, decode_boxes, encode_boxes, is_larger_than
from maskrcnn.ops.counts import divisor
from maskrcnn.ops.fixed_sizes import has_fixed_sizes
from maskrcnn.ops.losses import classification_loss, smooth_l1
from maskrcnn.ops.nms import ABSENT, nms_padded
from maskrcnn.structures import Detections, ImageBatch, Proposals, Size, Targets

BOX_WEIGHTS: BoxWeights = (10.0, 10.0, 5.0, 5.0)
"""Deltas are divided by their usual spread (0.1, 0.1, 0.2, 0.2), so that all losses have one scale."""


class BoxTrunk(nn.Sequential):
    """The shared layers before the two outputs: optional 3x3 convolutions, then fully connected ones with ReLU.

    Without fully connected layers, the mean over the RoI is what the outputs see (ResNet's own end).

    Args:
        in_channels: of the RoI features.
        roi_size: their height and width.
        num_convs: how many convolutions.
        conv_channels: their width.
        num_fcs: how many fully connected layers.
        fc_channels: their width.
        norm: of the convolutions, a name from `models.norm.NORMS`, or None.
    """

    def __init__(
        self,
        in_channels: int,
        roi_size: tuple[int, int],
        *,
        num_convs: int = 0,
        conv_channels: int = 256,
        num_fcs: int = 2,
        fc_channels: int = 1024,
        norm: str | None = None,
    ) -> None:
        layers: list[nn.Module] = []
        channels = in_channels
        for _ in range(num_convs):
            layers += [*conv_norm(channels, conv_channels, 3, norm=norm), nn.ReLU(inplace=True)]
            channels = conv_channels
        layers += [nn.Flatten()] if num_fcs else [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        features = channels * math.prod(roi_size) if num_fcs else channels
        for _ in range(num_fcs):
            layers += [nn.Linear(features, fc_channels), nn.ReLU(inplace=True)]
            features = fc_channels
        super().__init__(*layers)
        self.roi_size = roi_size
        self.out_features = features


class BoxHead(nn.Module):
    """Classifies RoIs, refines their boxes, and keeps the best: a stage from regions to detections.

    Args:
        pooler: gives the RoI features.
        trunk: RoI features -> vectors.
        num_classes: K.
        sampler: chooses the RoIs to learn from.
        class_agnostic: one box regression for all classes.
        smooth_l1_beta: of the box loss.
        score_threshold: detections score above this.
        min_size: shortest side of a detection before NMS, `input` pixels.
        nms_threshold: per class.
        max_detections: per image.
        classification_weight: factor of the loss of classes.
        box_weight: factor of the loss of boxes.
    """

    class_outputs = ("class_logits", "deltas")
    """Layers with outputs for each class, which mean nothing to other classes."""

    def __init__(
        self,
        pooler: RoIPooler,
        trunk: BoxTrunk,
        num_classes: int,
        sampler: RoISampler,
        *,
        class_agnostic: bool = False,
        smooth_l1_beta: float = 1 / 9,
        score_threshold: float = 0.05,
        min_size: float = 0.0,
        nms_threshold: float = 0.5,
        max_detections: int = 100,
        classification_weight: float = 1.0,
        box_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.sampler = sampler
        self.pooler = pooler
        self.trunk = trunk
        self.num_classes = num_classes
        self.num_box_classes = 1 if class_agnostic else num_classes
        self.class_logits = nn.Linear(trunk.out_features, num_classes + 1)
        self.deltas = nn.Linear(trunk.out_features, 4 * self.num_box_classes)
        self.smooth_l1_beta = smooth_l1_beta
        self.score_threshold = score_threshold
        self.min_size = min_size
        self.nms_threshold = nms_threshold
        self.max_detections = max_detections
        self.classification_weight = classification_weight
        self.box_weight = box_weight
        for layer, std in ((self.class_logits, 0.01), (self.deltas, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, roi_features: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (R, K + 1) and deltas (R, K or 1, 4) of RoI features (R, C, S, S)."""
        x = self.trunk(roi_features)
        return self.class_logits(x), self.deltas(x).view(x.shape[0], self.num_box_classes, 4)

    def loss(
        self,
        features: RoIFeatures,
        regions: Sequence[Proposals],
        targets: Sequence[Targets],
        generators: Sequence[torch.Generator | None],
    ) -> tuple[Losses, list[SampledRoIs]]:
        """The losses, and the RoIs they were computed on, which the other branches learn from.

        Args:
            features: of the batch.
            regions: of each image.
            targets: of each image.
            generators: what each image's RoIs are drawn with.
        """
        rois: list[SampledRoIs] = self.sampler(regions, targets, generators)
        class_logits, deltas = self(features.of_rois(self.pooler, rois))
        return self.loss_of(class_logits, deltas, rois), rois

    def loss_of(self, class_logits: Tensor, deltas: Tensor, sampled: Sequence[SampledRoIs]) -> Losses:
        """L_cls over all RoIs; L_box over the positives, also divided by the number of all (Fast R-CNN, eq. 1)."""
        labels = torch.cat([rois.labels for rois in sampled])
        positive = (labels < self.num_classes).nonzero()[:, 0]
        truth = encode_boxes(
            torch.cat([rois.gt_boxes for rois in sampled]),
            torch.cat([rois.positive_boxes for rois in sampled]),
            BOX_WEIGHTS,
        )
        column = labels[positive] if self.num_box_classes > 1 else torch.zeros_like(positive)
        difference = deltas[positive, column].float() - truth
        box = smooth_l1(difference, self.smooth_l1_beta) / divisor(labels.shape[0])
        classification = classification_loss(class_logits.float(), labels)
        return Losses(classification=self.classification_weight * classification, box=self.box_weight * box)

    @torch.no_grad()
    def predict(
        self,
        features: RoIFeatures,
        regions: Sequence[Proposals],
        batch: ImageBatch,
        score_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> list[Detections]:
        """The detections of each image's regions; arguments and result as for `select`."""
        class_logits, deltas = self.classify(features, regions)
        return self.select(
            class_logits,
            deltas,
            regions,
            batch,
            score_threshold=score_threshold,
            max_detections=max_detections,
        )

    def classify(self, features: RoIFeatures, regions: Sequence[Proposals]) -> tuple[Tensor, Tensor]:
        """Class logits and deltas of all regions, image after image, a bounded number at a time."""
        boxes = [proposals.boxes for proposals in regions]
        outputs = features.in_chunks(self.pooler, boxes, lambda roi_features, _: self(roi_features))
        class_logits, deltas = (torch.cat(parts) for parts in zip(*outputs, strict=True))
        return class_logits, deltas

    @torch.no_grad()
    def select(
        self,
        class_logits: Tensor,
        deltas: Tensor,
        proposals: Sequence[Proposals],
        batch: ImageBatch,
        *,
        score_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> list[Detections]:
        """The detections of each image in the `input` frame, best first, still without masks; None: own limits."""
        threshold = self.score_threshold if score_threshold is None else score_threshold
        limit = self.max_detections if max_detections is None else max_detections
        counts = [p.boxes.shape[0] for p in proposals]
        class_probs = F.softmax(class_logits.float(), dim=1)[:, :-1]
        chosen = [
            self._select_one(p, d, proposal, size, threshold, limit)
            for p, d, proposal, size in zip(
                class_probs.split(counts), deltas.float().split(counts), proposals, batch.sizes, strict=True
            )
        ]
        # Here alone the host waits for a GPU: the branches to come run on just so many boxes.
        numbers = torch.stack([number for _, number in chosen]).tolist()
        return [found[:number] for (found, _), number in zip(chosen, numbers, strict=True)]

    def _select_one(
        self, class_probs: Tensor, deltas: Tensor, proposals: Proposals, size: Size, score_threshold: float, limit: int
    ) -> tuple[Detections, Tensor]:
        """An image's detections, and how many the first ones are that there are.

        Threshold first: only the few (box, class) pairs above it are decoded.
        """
        class_probs = class_probs.masked_fill(proposals.objectness_logits[:, None] == -math.inf, 0)
        row, label = _candidates(class_probs, score_threshold)
        column = label.clamp(min=0) if self.num_box_classes > 1 else torch.zeros_like(label)
        boxes = clip_boxes(decode_boxes(deltas[row, column], proposals.boxes[row], BOX_WEIGHTS), size)
        scores = class_probs[row, label.clamp(min=0)]
        usable = boxes.isfinite().all(dim=1) & is_larger_than(boxes, self.min_size)
        label = label.masked_fill(~usable, ABSENT)
        kept, number = nms_padded(boxes[None], scores[None], label[None], self.nms_threshold, limit)
        return Detections(boxes[kept[0]], scores[kept[0]], label[kept[0]], None, size), number[0]


def _candidates(class_probs: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Row and label of the probabilities (P, K) above the threshold.

    Where their number would have to be waited for, as many are returned as there can be, those that are not above it
    with label `ABSENT`: a row adds up to 1, so that only so many of its numbers can exceed the threshold.
    """
    if not has_fixed_sizes(class_probs):
        row, label = (class_probs > threshold).nonzero(as_tuple=True)
        return row, label
    num_rows, num_classes = class_probs.shape
    most = num_rows * (max(1, min(num_classes, int(1 / threshold))) if threshold > 0 else num_classes)
    probs, index = class_probs.nan_to_num(0).flatten().topk(most)
    index = index.masked_fill(probs <= threshold, num_rows * num_classes).sort().values  # in order, as above
    absent = index == num_rows * num_classes
    index = index.masked_fill(absent, 0)
    return index // num_classes, (index % num_classes).masked_fill(absent, ABSENT)
