"""The count against figures worked out by hand, and against the multiply-adds known of the published model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maskrcnn.benchmark.arithmetic import Workload, count_arithmetic
from maskrcnn.config import MaskHeadConfig
from maskrcnn.presets import preset
from maskrcnn.structures import Categories

COCO = Categories(tuple(range(1, 91)), tuple(f"class {i}" for i in range(1, 91)))
PIXELS = ((1, 3, 800, 1216),)


def test_the_published_model() -> None:
    """Multiply-adds of ResNet-50-FPN at 800 x 1216 with 1000 proposals, 100 objects and 90 classes, in 10^9."""
    flop = count_arithmetic(preset("torchvision"), COCO, Workload(PIXELS, 1000, 100))
    multiply_adds = {name: amount / 2e9 for name, amount in flop.items()}
    fcs = 1000 * (256 * 49 * 1024 + 1024 * 1024) / 1e9  # 13.9
    outputs = 1000 * 1024 * (91 + 4 * 90) / 1e9  # 0.5
    convs = 100 * 4 * 196 * 9 * 256 * 256 / 1e9  # 46.2
    upsample, masks = 100 * 196 * 4 * 256 * 256 / 1e9, 100 * 784 * 256 * 90 / 1e9
    assert multiply_adds == {
        "backbone": pytest.approx(79.2, abs=0.05),
        "FPN": pytest.approx(55.1, abs=0.05),
        "RPN head": pytest.approx(48.1, abs=0.05),
        "box head": pytest.approx(fcs + outputs, rel=1e-9),
        "mask head": pytest.approx(convs + upsample + masks, rel=1e-9),
    }
    assert fcs == pytest.approx(13.9, abs=0.05) and convs == pytest.approx(46.2, abs=0.05)


def test_the_rpn_head_by_hand() -> None:
    """3x3 to 256 channels, then 3 logits and 12 deltas, on every cell of P2..P6."""
    flop = count_arithmetic(preset("torchvision"), COCO, Workload(PIXELS, 0, 0))
    cells = sum(h * w for h, w in ((200, 304), (100, 152), (50, 76), (25, 38), (13, 19)))
    assert flop["RPN head"] == 2 * cells * 256 * (9 * 256 + 3 + 12)
    assert set(flop) == {"backbone", "FPN", "RPN head"}, "no proposals, no objects: the heads count nothing"


def test_counts_grow_in_proportion() -> None:
    config = preset("tiny")
    once, twice = Workload(((2, 3, 64, 96),), 30, 4), Workload(((2, 3, 64, 96),) * 2, 60, 8)
    single, double = (count_arithmetic(config, COCO, workload) for workload in (once, twice))
    assert double == {name: 2 * amount for name, amount in single.items()}
    halves = count_arithmetic(config, COCO, Workload(((1, 3, 64, 96),) * 2, 30, 4))
    assert halves == single, "the size of a batch changes nothing"


def test_stage_5_behind_roi_align_is_a_stage_of_its_own() -> None:
    base = preset("c4")
    small = replace(base, resnet=replace(base.resnet, stem_channels=16))
    boxes = count_arithmetic(small, COCO, Workload(((1, 3, 64, 64),), 10, 0))
    masks = count_arithmetic(small, COCO, Workload(((1, 3, 64, 64),), 10, 10))
    assert set(boxes) == {"backbone", "RPN head", "shared RoI layers", "box head"}
    # The mask branch sees RoIs of 7 x 7 cells, the box branch of 7 x 7 as well.
    assert masks["shared RoI layers"] == 2 * boxes["shared RoI layers"]


@pytest.mark.parametrize("name", ["keypoints_tiny", "nuclei", "detectron2"])
def test_other_models_have_their_branches(name: str) -> None:
    flop = count_arithmetic(preset(name), COCO, Workload(((1, 3, 64, 64),), 5, 2))
    assert ("keypoint head" in flop) is (name == "keypoints_tiny")
    assert ("mask head" in flop) is (name != "keypoints_tiny")


def test_a_model_without_heads() -> None:
    config = preset("tiny")
    alone = replace(config, box_head=replace(config.box_head, enabled=False), mask_head=MaskHeadConfig(enabled=False))
    assert set(count_arithmetic(alone, COCO, Workload(((1, 3, 64, 64),), 5, 5))) == {"backbone", "FPN", "RPN head"}
