from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maskrcnn.errors import UserError
from maskrcnn.presets import preset
from maskrcnn.weights.foreign.detectron2_config import flatten, pixel_style, read_detectron2_config, with_settings
from maskrcnn.weights.foreign.pixels import STYLES

YAML = """
INPUT: {FORMAT: RGB, MIN_SIZE_TEST: 1200, MAX_SIZE_TEST: 1000}
MODEL:
  PIXEL_MEAN: [123.675, 116.28, 103.53]
  RESNETS: {STRIDE_IN_1X1: false, RES5_DILATION: 1}
  ANCHOR_GENERATOR: {SIZES: [[16], [32], [64], [128], [256]], ASPECT_RATIOS: [[0.25, 1.0]]}
  RPN: {NMS_THRESH: 0.6, POST_NMS_TOPK_TEST: 500}
  ROI_BOX_HEAD: {POOLER_TYPE: ROIAlign}
  ROI_HEADS: {SCORE_THRESH_TEST: 0.3}
TEST: {DETECTIONS_PER_IMAGE: 7}
SOLVER: {BASE_LR: 0.02}
"""


def read(tmp_path: Path, text: str = YAML) -> dict[str, Any]:
    (tmp_path / "config.yaml").write_text(text)
    return read_detectron2_config(tmp_path / "config.yaml")


def test_each_setting_in_our_terms(tmp_path: Path) -> None:
    config = with_settings(preset("detectron2"), read(tmp_path))
    assert (config.input.min_size, config.input.max_size) == (1000, 1000)
    assert config.anchors.sizes == ((16,), (32,), (64,), (128,), (256,)) and config.anchors.ratios == (0.25, 1)
    assert (config.rpn.nms_threshold, config.rpn.post_nms_top_k_test) == (0.6, 500)
    assert (config.box_head.score_threshold, config.box_head.max_detections) == (0.3, 7)
    assert not config.roi.aligned and config.backbone.stage5_stride == 2
    assert config.rpn.pre_nms_top_k_test == preset("detectron2").rpn.pre_nms_top_k_test  # not in the file
    dilated = with_settings(preset("detectron2"), {"MODEL.RESNETS.RES5_DILATION": 2})
    assert (dilated.backbone.stage5_stride, dilated.backbone.stage5_dilation) == (1, 2)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({}, (640, 672, 704, 736, 768, 800)),
        ({"INPUT.MIN_SIZE_TRAIN": 800}, (800,)),
        ({"INPUT.MIN_SIZE_TRAIN": [600, 800], "INPUT.MIN_SIZE_TRAIN_SAMPLING": "choice"}, (600, 800)),
        ({"INPUT.MIN_SIZE_TRAIN": [600, 603], "INPUT.MIN_SIZE_TRAIN_SAMPLING": "range"}, (600, 601, 602, 603)),
    ],
)
def test_sizes_to_train_at(theirs: dict[str, Any], ours: tuple[int, ...]) -> None:
    assert with_settings(preset("detectron2"), theirs).augment.min_sizes == ours


def test_pixels(tmp_path: Path) -> None:
    style = pixel_style(read(tmp_path), STYLES["msra"])
    assert style.order == "RGB" and style.mean == (123.675, 116.28, 103.53) and not style.stride_in_1x1
    assert style.std == (1, 1, 1)  # not in the file
    assert pixel_style({}, STYLES["resnext"]) == STYLES["resnext"]
    for wrong in ({"INPUT.FORMAT": "YUV"}, {"MODEL.PIXEL_MEAN": [1, 2]}, {"MODEL.PIXEL_STD": "1, 1, 1"}):
        with pytest.raises(UserError, match=r"expected RGB or BGR|expected three numbers"):
            pixel_style(wrong, STYLES["msra"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIPool", "can only do 'ROIAlignV2'"),
        ("MODEL.META_ARCHITECTURE", "RetinaNet", "can only do 'GeneralizedRCNN'"),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False, True, True, True], "DEFORM_ON_PER_STAGE"),
        ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [[1.0], [2.0]], "the same anchor ratios on all levels"),
        ("MODEL.RPN.NMS_THRESH", 7, "detectron2's settings: rpn.nms_threshold: expected a number from 0 to 1"),
        ("MODEL.RESNETS.RES5_DILATION", "two", "a setting is of the wrong kind"),
        ("INPUT.MIN_SIZE_TRAIN", 8.5, "a setting is of the wrong kind"),
        (
            "TEST.DETECTIONS_PER_IMAGE",
            "many",
            "detectron2's settings: box_head.max_detections: expected a whole number",
        ),
    ],
)
def test_what_cannot_be_done_is_said(name: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        with_settings(preset("detectron2"), {name: value})


@pytest.mark.parametrize(
    "text", ["MODEL: [", "- 1", "", "MODEL: 3", "A: {B: 1}", "MODEL: !!python/object:os.system {}"]
)
def test_files_that_are_no_such_config(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"config\.yaml: expected detectron2's config\.yaml") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_flatten() -> None:
    assert flatten({"A": {"B": {"C": 1}, "D": [2]}, "E": None}) == {"A.B.C": 1, "A.D": [2], "E": None}
