"""What all ways to cut out the features of boxes have in common."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maskrcnn.ops.roi_align import roi_align, roi_align_bags, roi_align_reference
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.ops.roi_pool import ROI_POOL, roi_pool
from maskrcnn.ops.roi_warp import roi_warp

BOXES = torch.tensor([[1.0, 1.0, 6.0, 5.0], [0.3, 2.7, 3.1, 6.9], [0.0, 0.0, 8.0, 6.0]])
INDEX = torch.tensor([0, 1, 1])


@pytest.mark.parametrize("way", [roi_align_reference, roi_align_bags, *ROI_POOL.values(), roi_warp])
def test_no_boxes(way: Callable[..., Tensor]) -> None:
    features = torch.rand(1, 3, 4, 4, requires_grad=True)
    pooled = way(features, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), RoIAlignOptions((7, 5)))
    assert pooled.shape == (0, 3, 7, 5)
    (pooled.sum() + features.sum() * 0).backward()
    assert torch.equal(features.grad, torch.zeros_like(features))


@pytest.mark.parametrize("operator", [roi_align, roi_pool, roi_warp])
def test_result_is_channels_last(operator: Callable[..., Tensor]) -> None:
    pooled = operator(torch.rand(2, 8, 6, 6), BOXES, INDEX, RoIAlignOptions(4))
    assert pooled.is_contiguous(memory_format=torch.channels_last)
