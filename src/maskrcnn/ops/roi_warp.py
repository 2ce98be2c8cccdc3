"""RoIWarp (Dai et al. 2016), as in Mask R-CNN's table 2c: a box rounded like RoIPool's, sampled like RoIAlign's.

It shows which of the two matters (section 4.2): interpolation does not help once the box has been rounded.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from maskrcnn.ops.roi_align import roi_align
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.ops.roi_pool import round_boxes


def roi_warp(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """Features (R, C, S, S) of R boxes, channels-last in memory: RoIAlign of the whole cells that RoIPool would take.

    Args:
        features: (N, C, H, W), channels-last in memory for speed.
        boxes: (R, 4) x1, y1, x2, y2 in pixels.
        image_index: (R,) int64, the image 0..N-1 of each box.
        options: grid and sampling, as for `roi_align`.
    """
    cells = round_boxes(boxes, options.spatial_scale, options.rounding)
    return roi_align(features, cells, image_index, replace(options, spatial_scale=1.0))
