"""Our model with other libraries' weights against what those libraries computed, stage by stage.

The tolerance of an output is twice what rounding alone was seen to do to it; of a loss 1e-5, of a gradient 1e-4 more.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from parity.golden import CASES, Golden, load_golden
from parity.stages import STAGES, differences


@cache
def _load(shared: Path, name: str) -> Golden:
    return load_golden(shared, name)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", CASES)
def test_stage(shared: Path, name: str, stage: str) -> None:
    golden = _load(shared, name)
    found = differences(golden, stage)
    missing = {
        "masks": golden.model.mask_head is None,
        "keypoints": golden.model.keypoint_head is None,
        "running statistics": golden.config.backbone.norm != "bn",
    }
    assert bool(found) != missing.get(stage, False)
    assert [d for d in found if not d.measured <= d.allowed] == []
