"""Our model with other libraries' weights against what those libraries computed, stage by stage.

The tolerance of an output is twice what rounding alone was seen to do to it; of a loss 1e-5, of a gradient 1e-4 more.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch

from maskrcnn.model import Model
from parity.golden import CASES, Golden, load_golden
from parity.stages import STAGES, differences
from parity.training import has_live_norms


@cache
def _load(shared: Path, name: str) -> Golden:
    return load_golden(shared, name)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", CASES)
def test_stage(shared: Path, name: str, stage: str) -> None:
    golden = _load(shared, name)
    found = differences(golden, stage)
    missing = {
        "masks": "mask_head" not in golden.model.roi_branches,
        "keypoints": "keypoint_head" not in golden.model.roi_branches,
        "gradients as trained": not has_live_norms(golden),
        "running statistics": golden.config.backbone.norm != "bn",
    }
    assert bool(found) != missing.get(stage, False)
    assert [d for d in found if not d.measured <= d.allowed] == []


def test_keypoints_in_results_for_coco(shared: Path) -> None:
    """torchvision writes its points as they are: they are COCO's pixel numbers, while ours lie half a pixel further."""
    golden = _load(shared, "tv_keypointrcnn_fpn")
    photograph, theirs = golden.tensors["image.0"].numpy(), golden.tensors["detections.0.keypoints_original"]
    prediction = Model(golden.model, golden.categories, golden.config).predict(photograph)
    assert prediction.keypoints is not None and len(prediction) == len(theirs)
    results = torch.tensor([result["keypoints"] for result in prediction.to_coco()]).view(theirs.shape)
    near = 2 * golden.tolerance("detections.0.keypoints_original")
    torch.testing.assert_close(results[..., :2], theirs[..., :2], atol=near, rtol=0)
    points = torch.from_numpy(prediction.keypoints)
    torch.testing.assert_close(points[..., :2], theirs[..., :2] + 0.5, atol=near, rtol=0)
