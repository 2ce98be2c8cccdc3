from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from maskrcnn.ops.roi_options import RoIAlignOptions, Rounding
from maskrcnn.ops.roi_pool import ROI_POOL, roi_pool, roi_pool_bins, round_boxes

RULES: tuple[Rounding, ...] = ("nearest", "floor")
WAYS = pytest.mark.parametrize("way", ROI_POOL)
BOXES = torch.tensor(
    [
        [1.0, 1.0, 6.0, 5.0],
        [0.3, 2.7, 3.1, 6.9],
        [0.0, 0.0, 8.0, 6.0],  # bins of many cells
        [-4.0, -3.0, 4.0, 3.0],  # partly outside
        [50.0, 50.0, 60.0, 60.0],  # wholly outside
        [2.0, 2.0, 2.0, 2.0],  # empty
        [5.0, 5.0, 3.0, 2.0],  # reversed
    ]
)
INDEX = torch.tensor([0, 1, 1, 1, 0, 0, 1])


def test_rounding_by_hand() -> None:
    """Halves go away from zero, the last cell counts, and a reversed box is one cell."""
    boxes = torch.tensor([[8.0, -8.0, 23.9, 24.0], [40.0, 16.0, 8.0, 8.0], [0.0, 0.0, 32.0, 32.0]])
    assert round_boxes(boxes, 1 / 16).tolist() == [[1, -1, 2, 3], [3, 1, 4, 2], [0, 0, 3, 3]]


def test_rounding_does_not_add_a_half() -> None:
    """In float32, 0.5 less the least bit plus 0.5 is 1: adding a half and cutting off would round it up."""
    below = float(torch.nextafter(torch.tensor(0.5), torch.tensor(0.0)))
    assert round_boxes(torch.tensor([[below, -below, 2.5, 3.5]]), 1.0).tolist() == [[0, 0, 4, 5]]


def test_cutting_off_by_hand() -> None:
    """The first corner and the side, wherever the box lies; never less than a cell."""
    boxes = torch.tensor([[0.0, 10.0, 665.0, 675.0], [-8.0, 0.0, 23.9, 1.0], [50.0, 50.0, 40.0, 50.0]])
    assert round_boxes(boxes, 1 / 32, "floor").tolist() == [[0, 0, 20, 20], [-1, 0, 0, 1], [1, 1, 2, 2]]


@pytest.mark.parametrize(
    ("side", "size", "rounding", "bins"),
    [
        (19, 7, "nearest", [(0, 3), (2, 6), (5, 9), (8, 12), (11, 15), (14, 18), (17, 20)]),  # 20 cells, bins of 2.86
        (20, 7, "floor", [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14)]),
        (7, 2, "floor", [(0, 3), (3, 6)]),
        (6, 2, "nearest", [(0, 4), (3, 7)]),
        (2, 4, "floor", [(0, 1), (0, 1), (1, 2), (1, 2)]),  # fewer cells than bins: some are read twice
    ],
)
def test_bins_by_hand(side: int, size: int, rounding: Rounding, bins: list[tuple[int, int]]) -> None:
    options = RoIAlignOptions(size, rounding=rounding)
    columns, rows = roi_pool_bins(torch.tensor([[0.0, 0, side, side]]), options, 99, 99)
    for axis in (columns, rows):
        assert list(zip(axis.starts[0].tolist(), axis.ends[0].tolist(), strict=True)) == bins


@WAYS
def test_seven_by_five_cells_in_two_by_two_bins(way: str) -> None:
    """Bins of 3.5 x 2.5 cells: cut off to 3 x 2, the last row and column are not read."""
    features = torch.arange(35.0).view(1, 1, 5, 7)
    boxes, index = torch.tensor([[0.0, 0, 7, 5]]), torch.tensor([0])
    floor = ROI_POOL[way](features, boxes, index, RoIAlignOptions(2, rounding="floor"))
    assert floor.tolist() == [[[[9, 12], [23, 26]]]]
    published = ROI_POOL[way](features, boxes - torch.tensor([0, 0, 1, 1]), index, RoIAlignOptions(2))
    assert published.tolist() == [[[[17, 20], [31, 34]]]]


@WAYS
def test_bins_grow_to_whole_cells(way: str) -> None:
    """Five cells in two bins: each takes three, the middle one belongs to both."""
    features = torch.tensor([1.0, 2, 9, 4, 5, 99]).view(1, 1, 1, 6)
    pooled = ROI_POOL[way](features, torch.tensor([[0.0, 0, 4, 0]]), torch.tensor([0]), RoIAlignOptions(2))
    assert pooled.tolist() == [[[[9, 9], [9, 9]]]]
    features[..., 2] = 0
    pooled = ROI_POOL[way](features, torch.tensor([[0.0, 0, 4, 0]]), torch.tensor([0]), RoIAlignOptions(2))
    assert pooled.tolist() == [[[[2, 5], [2, 5]]]]


@WAYS
def test_negative_features_and_empty_bins(way: str) -> None:
    """The largest of negative numbers is negative; only a bin without cells is 0."""
    features = torch.full((1, 1, 4, 4), -3.0)
    boxes = torch.tensor([[-4.0, 0, 3, 3], [9, 9, 12, 12]])
    pooled = ROI_POOL[way](features, boxes, torch.tensor([0, 0]), RoIAlignOptions(2))
    assert pooled.flatten(1).tolist() == [[0, -3, 0, -3], [0, 0, 0, 0]]


@pytest.mark.parametrize("rounding", RULES)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", [1, 2, (3, 1), (2, 5), 7])
def test_ways_agree_with_their_gradients(size: int | tuple[int, int], ties: bool, rounding: Rounding) -> None:
    options = RoIAlignOptions(size, 0.5, rounding=rounding)
    results = []
    for way in ROI_POOL.values():
        torch.manual_seed(0)
        features = torch.rand(2, 3, 7, 9, dtype=torch.float64)
        features = ((features * 3).round() if ties else features).requires_grad_()
        pooled = way(features, BOXES.double() * 2, INDEX, options)
        (pooled * torch.linspace(0, 1, pooled.numel()).view_as(pooled)).sum().backward()
        results.append((pooled.detach(), features.grad))
    for pooled, gradient in results[1:]:
        assert torch.equal(pooled, results[0][0])
        torch.testing.assert_close(gradient, results[0][1])


def test_gradient_by_finite_differences() -> None:
    torch.manual_seed(0)
    features = torch.rand(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    options = RoIAlignOptions(2, 0.7)
    assert torch.autograd.gradcheck(lambda f: roi_pool(f, BOXES.double(), INDEX, options), features)


@WAYS
def test_equal_to_the_golden_values(shared: Path, way: str) -> None:
    folder = shared / "golden/ops"
    golden = load_file(folder / "roi_align.safetensors")
    runs = json.loads((folder / "ops.json").read_text())["files"]["roi_align"]["runs"]
    pooled_runs = [r for r in runs if r["op"] in ("roi_pool", "roi_pool gradient")]
    assert len(pooled_runs) >= 3 and any(len(set(run["output_size"])) == 2 for run in pooled_runs)
    for run in pooled_runs:
        rois, features = golden[run["rois"]], golden["input"].clone().requires_grad_()
        options = RoIAlignOptions(tuple(run["output_size"]), run["spatial_scale"])
        pooled = ROI_POOL[way](features, rois[:, 1:], rois[:, 0].long(), options)
        if run["op"] == "roi_pool":
            assert torch.equal(pooled, golden[run["key"]])
        else:
            (pooled * golden[f"{run['key']}.weight"]).sum().backward()
            torch.testing.assert_close(features.grad, golden[run["key"]])
