"""What a system leaves out of another is all in which the two presets differ (the table of docs/family.md)."""

from __future__ import annotations

import pytest

from maskrcnn.build import build_model_without_memory
from maskrcnn.models.backbones.single import ImageItself
from maskrcnn.ops.roi_pool import roi_pool
from maskrcnn.presets import preset
from maskrcnn.settings import differing_settings, setting

DIFFERENCES: dict[tuple[str, str], dict[str, object]] = {
    ("r_cnn", "fast_r_cnn"): {
        "backbone.features": "image",
        "box_head.pooled_size": 224,
        "resnet.stage5_stride": 2,
        "roi.operator": "align",
    },
    ("fast_r_cnn", "faster_r_cnn_pool"): {"rpn.enabled": False},
    ("rpn", "faster_r_cnn"): {
        "box_head.enabled": False,
        "rpn.post_nms_top_k_test": 2000,
        "evaluation.max_detections": 1000,
    },
    ("faster_r_cnn_pool", "faster_r_cnn"): {"roi.operator": "pool"},
    ("faster_r_cnn", "c4"): {"mask_head.enabled": False},
    ("dc5", "c5"): {"resnet.stage5_stride": 1, "resnet.stage5_dilation": 2},
    ("c5", "paper"): {
        "backbone.features": "c5",
        "anchors.sizes": ((32, 64, 128, 256, 512),),
        "rpn.pre_nms_top_k_train": 12_000,
        "rpn.pre_nms_top_k_test": 6000,
        "rpn.post_nms_top_k_test": 300,
    },
    ("panoptic", "paper"): {"semantic_head.enabled": True, "semantic_head.loss_weight": 0.5},
    ("resnext", "paper"): {"backbone.name": "resnext101_32x8d", "train.batch_size": 1},
    ("keypoints", "joint"): {"mask_head.enabled": False},
}


@pytest.mark.parametrize(("system", "other"), DIFFERENCES)
def test_what_a_system_leaves_out(system: str, other: str) -> None:
    ours = preset(system)
    found = {name: setting(ours, name) for name in differing_settings(ours, preset(other))}
    assert found == DIFFERENCES[system, other]


PARTS = {
    "r_cnn": {"box_head"},
    "fast_r_cnn": {"box_head"},
    "rpn": {"rpn"},
    "faster_r_cnn": {"rpn", "box_head"},
    "c4": {"rpn", "box_head", "mask_head"},
    "paper": {"rpn", "box_head", "mask_head"},
    "keypoints": {"rpn", "box_head", "keypoint_head"},
    "joint": {"rpn", "box_head", "mask_head", "keypoint_head"},
}


@pytest.mark.parametrize("name", PARTS)
def test_the_networks_have_these_parts(name: str) -> None:
    network = build_model_without_memory(preset(name), 3)
    of_weights = {weight.partition(".")[0] for weight in network.state_dict()} - {"backbone", "roi_layers"}
    assert of_weights == PARTS[name]


def test_where_the_backbone_runs() -> None:
    """R-CNN: on every region; C4: its last stage on every region; otherwise once for the image."""
    names = {
        name: [weight.partition(".")[0] for weight in build_model_without_memory(preset(name), 3).state_dict()]
        for name in ("r_cnn", "fast_r_cnn", "rpn", "c5", "paper")
    }
    assert "backbone" not in names["r_cnn"] and "roi_layers" in names["r_cnn"]
    assert isinstance(build_model_without_memory(preset("r_cnn"), 3).backbone, ImageItself)
    assert {"backbone", "roi_layers"} <= set(names["fast_r_cnn"])
    assert all("roi_layers" not in names[name] for name in ("rpn", "c5", "paper"))


def test_only_the_systems_before_mask_rcnn_round_regions() -> None:
    for name in ("fast_r_cnn", "faster_r_cnn_pool", "faster_r_cnn", "c4", "paper"):
        head = build_model_without_memory(preset(name), 3).box_head
        assert head is not None
        assert (head.pooler.operator is roi_pool) == (name in ("fast_r_cnn", "faster_r_cnn_pool"))
