from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from maskrcnn.models.pooling import RoIPooler, assign_levels
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.ops.roi_pool import roi_pool


def test_levels_by_hand() -> None:
    sides = torch.tensor([10.0, 111.9, 112, 223.9, 224, 448, 2000])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], dim=1)
    assert assign_levels(boxes, 2, 5).tolist() == [2, 2, 3, 3, 4, 5, 5]


def test_levels_and_pooling_equal_the_golden_values(shared: Path) -> None:
    golden = load_file(shared / "golden/ops/levels.safetensors")
    assert torch.equal(assign_levels(golden["boxes"], 2, 5) - 2, golden["torchvision.level"])
    features = [golden[f"feature.{i}"] for i in range(4)]
    boxes = [golden["pool_boxes.0"], golden["pool_boxes.1"]]
    for size in (7, 14):
        for library, ratio, aligned in (("torchvision", 2, False), ("detectron2", 0, True)):
            pooler = RoIPooler((4, 8, 16, 32), RoIAlignOptions(size, sampling_ratio=ratio, aligned=aligned))
            expected = golden[f"{library}.pooled.{size}"]
            torch.testing.assert_close(pooler(features, boxes), expected, atol=2e-5, rtol=1e-4)


def test_another_operator_equals_the_golden_values(shared: Path) -> None:
    golden = load_file(shared / "golden/ops/levels.safetensors")
    features = [golden[f"feature.{i}"] for i in range(4)]
    pooler = RoIPooler((4, 8, 16, 32), RoIAlignOptions(7), level_lift=0.0, operator=roi_pool)
    pooled = pooler(features, [golden["pool_boxes.0"], golden["pool_boxes.1"]])
    assert torch.equal(pooled, golden["detectron2.roipool.7"])


def test_each_box_keeps_its_place() -> None:
    """Constant maps of different value show which level and image each box was read from."""
    features = [torch.stack([torch.full((1, 8, 8), 10.0 * n + level) for n in range(2)]) for level in range(4)]
    pooler = RoIPooler((4, 8, 16, 32), RoIAlignOptions(2))
    small, large = [4.0, 4, 12, 12], [0.0, 0, 230, 230]
    pooled = pooler(features, [torch.tensor([large, small]), torch.tensor([small, large, small])])
    assert pooled[:, 0, 0, 0].tolist() == [2, 0, 10, 12, 10]
