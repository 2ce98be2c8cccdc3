from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from maskrcnn.structures import Detections


def detections(**more: Any) -> Detections:
    return Detections(
        torch.arange(12.0).view(3, 4), torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 0]), None, (10, 20), **more
    )


@pytest.mark.parametrize(
    "index", [slice(0, 2), torch.tensor([0, 1]), torch.tensor([True, True, False])], ids=["slice", "index", "mask"]
)
def test_picking_picks_from_every_field(index: slice | Tensor) -> None:
    found = detections(keypoints=torch.arange(18.0).view(3, 2, 3))[index]
    assert found.boxes.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]] and found.labels.tolist() == [0, 1]
    assert found.keypoints is not None and found.keypoints.flatten().tolist() == list(range(12))
    assert found.mask_probs is None and found.image_size == (10, 20)


def test_moving_moves_every_field() -> None:
    moved = detections(keypoints=torch.zeros(3, 2, 3)).to("meta")
    assert moved.keypoints is not None and moved.mask_probs is None
    assert {moved.boxes.device.type, moved.labels.device.type, moved.keypoints.device.type} == {"meta"}
