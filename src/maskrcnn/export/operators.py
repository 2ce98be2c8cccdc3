"""RoIAlign and NMS as single nodes of an ONNX graph; in eager mode they compute what the package's own ops do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from maskrcnn.ops.nms import batched_nms, largest_float32_up_to
from maskrcnn.ops.roi_align import roi_align
from maskrcnn.ops.roi_options import RoIAlignOptions

UNUSABLE = -3e38
"""The score of a place without a box, below every other; no infinity, which not every engine compares."""


class RoIAlignNode(Function):
    """ONNX's RoiAlign: the same samples as `ops.roi_align`, averages only."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
        """(R, C, S, S) features of boxes (R, 4) in maps (N, C, h, w); while a graph is recorded, their shape alone."""
        if torch.onnx.is_in_onnx_export():
            return features.new_zeros((boxes.shape[0], features.shape[1], *options.bins))
        return roi_align(features, boxes, image_index, options).contiguous()

    @staticmethod
    def symbolic(g: Any, features: Any, boxes: Any, image_index: Any, options: RoIAlignOptions) -> Any:
        """The node."""
        rows, columns = options.bins
        return g.op(
            "RoiAlign",
            features,
            boxes,
            image_index,
            coordinate_transformation_mode_s="half_pixel" if options.aligned else "output_half_pixel",
            mode_s="avg",
            output_height_i=rows,
            output_width_i=columns,
            sampling_ratio_i=options.sampling_ratio,
            spatial_scale_f=options.spatial_scale,
        )


class NMSNode(Function):
    """ONNX's NonMaxSuppression for one group of boxes in each of N batches."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor, limit: Tensor, iou: float, least: Tensor) -> Tensor:
        """(M, 3) batch, 0 and box of those kept of boxes (N, B, 4) whose scores (N, 1, B) lie above `least`."""
        kept = []
        for number, (own, score) in enumerate(zip(boxes, scores[:, 0], strict=True)):
            present = (score > least).nonzero()[:, 0]
            best = present[batched_nms(own[present], score[present], torch.zeros_like(present), iou, int(limit))]
            kept.append(torch.stack([torch.full_like(best, number), torch.zeros_like(best), best], dim=1))
        return torch.cat(kept)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, limit: Any, iou: float, least: Any) -> Any:
        """The node."""
        threshold = g.op("Constant", value_t=torch.tensor([largest_float32_up_to(iou)], dtype=torch.float32))
        return g.op("NonMaxSuppression", boxes, scores, limit, threshold, least)
