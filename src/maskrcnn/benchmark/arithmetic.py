"""How much arithmetic the network's definition asks for, whatever way it is computed in.

Counted on a network without memory (device "meta") from the settings, so a faster way to convolve changes the time and
not the count. What is no product of matrices (RoIAlign, NMS, resizing) counts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maskrcnn.benchmark.meter import StageMeter, metered
from maskrcnn.benchmark.stages import stages_of
from maskrcnn.build import build_model_without_memory
from maskrcnn.config import Config
from maskrcnn.models.box_head import BoxHead
from maskrcnn.models.branches import RoIBranch
from maskrcnn.models.mask_head import MaskHead
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.structures import Categories


@dataclass(frozen=True)
class Workload:
    """What goes through the network in one pass over some images.

    Attributes:
        batches: (N, 3, H, W) of each batch of pixels.
        num_proposals: of all images.
        num_detections: of all images.
    """

    batches: tuple[tuple[int, ...], ...]
    num_proposals: int
    num_detections: int


@torch.no_grad()
def count_arithmetic(config: Config, categories: Categories, workload: Workload) -> dict[str, float]:
    """Floating-point operations by stage, a multiplication and an addition being two."""
    from torch.utils.flop_counter import FlopCounterMode  # imports triton: 70 MiB that only the counting needs

    network = build_model_without_memory(config, len(categories), categories.num_keypoints).eval()
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        meter = StageMeter(counter.get_total_flops)
        with metered(network, stages_of(network), meter):
            _compute(network, workload)
    return {name: amount for name, amount in meter.amounts.items() if amount}


def _compute(network: MaskRCNN, workload: Workload) -> None:
    """The parts that have weights, on tensors of the right shapes."""
    features: Sequence[Tensor] = []
    for shape in workload.batches:
        features = network.backbone(torch.empty(shape))
        if network.rpn is not None:
            network.rpn.head(features)
    channels = features[0].shape[1]
    if network.box_head is not None and workload.num_proposals:
        network.box_head(_roi_features(network, network.box_head, workload.num_proposals, channels))
    if not workload.num_detections:
        return
    for branch in network.roi_branches.values():
        roi_features = _roi_features(network, branch, workload.num_detections, channels)
        labels = [torch.zeros(len(roi_features), dtype=torch.int64)] if isinstance(branch, MaskHead) else []
        branch(roi_features, *labels)


def _roi_features(network: MaskRCNN, head: BoxHead | RoIBranch, count: int, channels: int) -> Tensor:
    roi_features: Tensor = network.roi_layers(torch.empty(count, channels, *head.pooler.options.bins))
    return roi_features
