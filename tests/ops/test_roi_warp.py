from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from maskrcnn.ops.roi_align import roi_align_reference
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.ops.roi_pool import roi_pool
from maskrcnn.ops.roi_warp import roi_warp

INDEX = torch.tensor([0])


def ramp(height: int = 8, width: int = 8) -> Tensor:
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return (10 * y + x)[None, None]


def test_a_ramp_is_sampled_in_the_rounded_box() -> None:
    """x from 17 to 47 becomes cells 1 to 3, so bins of 1.5 cells, centred 1.75 and 3.25 in continuous cells."""
    pooled = roi_warp(ramp(), torch.tensor([[17.0, 17, 47, 47]]), INDEX, RoIAlignOptions(2, 1 / 16))
    low, high = 1.75 - 0.5, 3.25 - 0.5  # the centre of cell i lies at i + 0.5
    torch.testing.assert_close(
        pooled, torch.tensor([[[[11 * low, 10 * low + high], [10 * high + low, 11 * high]]]]), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("operator", [roi_pool, roi_warp])
def test_moves_below_half_a_cell_go_unnoticed(operator: Callable[..., Tensor]) -> None:
    """What RoIAlign is for: pixels that rounding takes away never reach the network."""
    boxes = torch.tensor([[24.1, 24.1, 56.0, 56.0], [39.9, 39.9, 71.9, 71.9]])
    first, second = operator(torch.rand(1, 3, 8, 8), boxes, torch.tensor([0, 0]), RoIAlignOptions(3, 1 / 16))
    assert torch.equal(first, second)


@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("sampling_ratio", [0, 2])
def test_equal_to_the_reference_on_whole_cells(reduce: str, sampling_ratio: int) -> None:
    features = torch.rand(1, 2, 7, 9, dtype=torch.float64)
    boxes = torch.tensor([[3.2, -3.0, 9.0, 9.1], [5.0, 5.0, 2.0, 2.0]], dtype=torch.float64)
    index = torch.tensor([0, 0])
    cells = torch.tensor([[2.0, -2, 6, 6], [3, 3, 4, 4]], dtype=torch.float64)  # 5 / 2 rounds to 3
    options = RoIAlignOptions(3, 0.5, sampling_ratio, reduce=reduce)
    expected = roi_align_reference(features, cells, index, RoIAlignOptions(3, 1.0, sampling_ratio, reduce=reduce))
    torch.testing.assert_close(roi_warp(features, boxes, index, options), expected)


def test_gradient_by_finite_differences() -> None:
    torch.manual_seed(0)
    features = torch.rand(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0.6, 0.6, 3.4, 3.4]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: roi_warp(f, boxes, INDEX, RoIAlignOptions(2)), features)
