"""RoI features from a pyramid: each box is read from the level that suits its size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maskrcnn.ops.boxes import box_area
from maskrcnn.ops.roi_align import pool_levels, roi_align
from maskrcnn.ops.roi_options import RoIAlignOptions, RoIOperator

CANONICAL_SIZE = 224
CANONICAL_LEVEL = 4
"""A box of ImageNet's 224 x 224 pixels belongs to P4 (FPN section 4.2)."""


def assign_levels(boxes: Tensor, min_level: int, max_level: int, lift: float = 1e-6) -> Tensor:
    """(R,) level k = floor(k0 + log2(sqrt(w h) / 224)), held within the pyramid (FPN, eq. 1).

    `lift` moves boxes a rounding error below a boundary over it.
    """
    size = box_area(boxes).sqrt()
    level = torch.floor(CANONICAL_LEVEL + torch.log2(size / CANONICAL_SIZE) + lift)
    return level.clamp(min_level, max_level).to(torch.int64)


class RoIPooler(nn.Module):
    """RoIAlign over the levels P2..P5, or over a single map.

    Args:
        strides: of the levels in input pixels, powers of two, finest first.
        options: RoIAlign's options; the spatial scale is set per level.
        level_lift: see `assign_levels`.
        operator: RoIAlign, or what it is compared with.
    """

    def __init__(
        self,
        strides: Sequence[int],
        options: RoIAlignOptions,
        level_lift: float = 1e-6,
        operator: RoIOperator = roi_align,
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.options = options
        self.level_lift = level_lift
        self.operator = operator

    def forward(self, features: Sequence[Tensor], boxes: Sequence[Tensor]) -> Tensor:
        """Features (R, C, S, S), channels-last, of the boxes (R_i, 4) of every image, image after image."""
        all_boxes = torch.cat(list(boxes)).float()
        index = [torch.full((b.shape[0],), i, device=b.device) for i, b in enumerate(boxes)]
        scales = [1 / stride for stride in self.strides]
        levels = self.levels(all_boxes)
        return pool_levels(self.operator, features, all_boxes, torch.cat(index), levels, scales, self.options)

    def cuts_like(self, other: RoIPooler) -> bool:
        """Whether the two give the same features."""
        mine, theirs = ((p.strides, p.options, p.level_lift, p.operator) for p in (self, other))
        return mine == theirs

    def levels(self, boxes: Tensor) -> Tensor:
        """(R,) which of the maps each box (R, 4) is read from; 0 is the finest."""
        finest = self.strides[0].bit_length() - 1  # log2 of a power of two: stride 4 is P2
        return assign_levels(boxes, finest, finest + len(self.strides) - 1, self.level_lift) - finest
