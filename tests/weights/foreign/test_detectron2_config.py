from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from maskrcnn.build import build_model_without_memory
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.presets import preset
from maskrcnn.weights.foreign.detectron2 import _as_published
from maskrcnn.weights.foreign.detectron2_config import not_said, of_backbone, pixel_style, with_settings
from maskrcnn.weights.foreign.detectron2_keys import ALONE, KNOWN, is_known, is_read
from maskrcnn.weights.foreign.detectron2_yaml import read_detectron2_config
from maskrcnn.weights.foreign.layout import Layout
from maskrcnn.weights.foreign.pixels import STYLES
from weights.foreign import detectron2_defaults as theirs

BASE = preset("detectron2")
KEYPOINTS = replace(
    BASE,
    mask_head=replace(BASE.mask_head, enabled=False),
    keypoint_head=replace(BASE.keypoint_head, enabled=True),
)

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


def value_of(config: Config, setting: str) -> Any:
    section, _, name = setting.partition(".")
    return getattr(getattr(config, section), name)


def test_each_setting_in_our_terms(tmp_path: Path) -> None:
    values = read(tmp_path)
    config = with_settings(BASE, values)
    assert (config.input.min_size, config.input.max_size) == (1000, 1000)
    assert config.anchors.sizes == ((16,), (32,), (64,), (128,), (256,)) and config.anchors.ratios == (0.25, 1)
    assert (config.rpn.nms_threshold, config.rpn.post_nms_top_k_test) == (0.6, 500)
    assert (config.box_head.score_threshold, config.box_head.max_detections) == (0.3, 7)
    assert not config.roi.aligned and config.resnet.stage5_stride == 2
    assert config.rpn.pre_nms_top_k_test == BASE.rpn.pre_nms_top_k_test  # not in the file, which is said
    assert "MODEL.RPN.PRE_NMS_TOPK_TEST" in not_said(BASE, values) and "INPUT.FORMAT" not in not_said(BASE, values)
    dilated = with_settings(BASE, {"MODEL.RESNETS.RES5_DILATION": 2})
    assert (dilated.resnet.stage5_stride, dilated.resnet.stage5_dilation) == (1, 2)


@pytest.mark.parametrize(
    ("name", "value", "setting", "ours"),
    [
        ("MODEL.RPN.IOU_THRESHOLDS", [0.2, 0.6], "rpn.negative_iou", 0.2),
        ("MODEL.RPN.IOU_THRESHOLDS", [0.2, 0.6], "rpn.positive_iou", 0.6),
        ("MODEL.RPN.LOSS_WEIGHT", 0.5, "rpn.objectness_weight", 0.5),
        ("MODEL.RPN.LOSS_WEIGHT", 0.5, "rpn.box_weight", 0.5),
        ("MODEL.RPN.BBOX_REG_LOSS_WEIGHT", 2, "rpn.box_weight", 2.0),
        ("MODEL.RPN.BBOX_REG_LOSS_WEIGHT", 2, "rpn.objectness_weight", 1.0),
        ("MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT", 3, "box_head.box_weight", 3.0),
        ("MODEL.ROI_HEADS.IOU_THRESHOLDS", [0.6], "roi.positive_iou", 0.6),
        ("MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIPool", "roi.operator", "pool"),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [[16, 24]], "anchors.sizes", ((16, 24),) * 5),
        ("MODEL.ANCHOR_GENERATOR.SIZES", [16, 24], "anchors.sizes", ((16, 24),) * 5),
        ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [0.5, 3], "anchors.ratios", (0.5, 3)),
        ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [[1, 3]] * 5, "anchors.ratios", (1, 3)),
        ("MODEL.RESNETS.NORM", "SyncBN", "backbone.norm", "sync_bn"),
        ("MODEL.RESNETS.NORM", "BN", "backbone.norm", "bn"),
        ("MODEL.FPN.NORM", "GN", "fpn.norm", "gn"),
        ("MODEL.ROI_BOX_HEAD.NORM", "naiveSyncBN", "box_head.norm", "sync_bn"),
        ("MODEL.ROI_MASK_HEAD.NORM", "", "mask_head.norm", None),
        ("INPUT.RANDOM_FLIP", "vertical", "augment.vertical_flip", 0.5),
        ("INPUT.RANDOM_FLIP", "none", "augment.horizontal_flip", 0.0),
        ("INPUT.MIN_SIZE_TRAIN", 800, "augment.min_sizes", (800,)),
        ("INPUT.MIN_SIZE_TRAIN", [600, 800], "augment.min_sizes", (600, 800)),
    ],
)
def test_settings_said_in_another_way(name: str, value: Any, setting: str, ours: Any) -> None:
    assert value_of(with_settings(BASE, {name: value}), setting) == ours


def test_sizes_between_two() -> None:
    between = {"INPUT.MIN_SIZE_TRAIN": [600, 603], "INPUT.MIN_SIZE_TRAIN_SAMPLING": "range"}
    assert with_settings(BASE, between).augment.min_sizes == (600, 601, 602, 603)
    assert with_settings(BASE, {}).augment.min_sizes == (640, 672, 704, 736, 768, 800)


def test_stage_5_takes_the_box_heads_rois() -> None:
    c4 = replace(BASE, backbone=replace(BASE.backbone, features="c4"), anchors=preset("c4").anchors)
    values = theirs.C4 | {"MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": 10, "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": 12}
    config = with_settings(c4, values)
    assert (config.box_head.pooled_size, config.mask_head.pooled_size) == (10, 10)


def test_every_name_is_detectron2s() -> None:
    """Both ways: a name that detectron2 has is known here, and a name that is known here is one of its."""
    assert {name for name in theirs.DEFAULTS if not is_known(name)} == set()
    assert set(KNOWN) - theirs.DEFAULTS.keys() == set() and set(ALONE) <= set(KNOWN)


def others(value: Any) -> list[Any]:
    """Values of the same kind that are not this one."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value / 2 + 0.1]
    if isinstance(value, list) and value and isinstance(value[0], bool):
        return [[not item for item in value], value[1:]]
    if isinstance(value, list) and value and isinstance(value[0], int | float):
        return [[item / 2 for item in value], [*value, value[-1]]]
    return [[["x"]]] if isinstance(value, list) else ["something else"]


HARMLESS = (
    *("CUDNN_BENCHMARK", "FLOAT32_PRECISION", "OUTPUT_DIR", "SEED", "VIS_PERIOD", "GLOBAL.", "SOLVER.", "DATASETS."),
    *("DATALOADER.", "TEST.EVAL_PERIOD", "TEST.EXPECTED_RESULTS", "TEST.AUG.M", "TEST.AUG.FLIP", "TEST.PRECISE_BN."),
    *("INPUT.CROP.SIZE", "INPUT.CROP.TYPE", "INPUT.MASK_FORMAT", "MODEL.DEVICE", "MODEL.WEIGHTS"),
    *("MODEL.RETINANET.", "MODEL.PANOPTIC_FPN.", "MODEL.SEM_SEG_HEAD.", "MODEL.ROI_BOX_CASCADE_HEAD."),
    *("MODEL.RESNETS.DEFORM_M", "MODEL.RESNETS.DEFORM_N", "MODEL.ROI_BOX_HEAD.FED_LOSS_"),
    "MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE",
)
SHOWN_BY_THE_WEIGHTS = (
    *("MODEL.RESNETS.OUT_FEATURES", "MODEL.RESNETS.NUM_GROUPS", "MODEL.RESNETS.WIDTH_PER_GROUP"),
    *("MODEL.RESNETS.RES2_OUT_CHANNELS", "MODEL.RESNETS.STEM_OUT_CHANNELS", "MODEL.FPN.OUT_CHANNELS"),
    *("MODEL.RPN.CONV_DIMS", "MODEL.ROI_HEADS.NUM_CLASSES", "MODEL.ROI_BOX_HEAD.CLS_", "MODEL.ROI_BOX_HEAD.CONV_DIM"),
    *("MODEL.ROI_BOX_HEAD.FC_DIM", "MODEL.ROI_BOX_HEAD.NUM_", "MODEL.ROI_MASK_HEAD.CLS_", "MODEL.ROI_MASK_HEAD.CONV_"),
    *("MODEL.ROI_MASK_HEAD.NUM_CONV", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS"),
)
MATTERS = [name for name in theirs.DEFAULTS if not name.startswith((*HARMLESS, *SHOWN_BY_THE_WEIGHTS))]


@pytest.mark.parametrize("name", MATTERS)
def test_no_setting_that_matters_is_passed_over(name: str) -> None:
    """Whatever else it is set to, our settings differ or it is refused by its name."""
    keypoints = "KEYPOINT" in name
    values, base = (theirs.KEYPOINTS, KEYPOINTS) if keypoints else (theirs.FPN, BASE)
    for other in others(values[name]):
        assert other != values[name]
        changed = values | {name: other}
        try:
            ours = pixel_style(changed, STYLES["msra"]).apply(with_settings(base, changed))
        except UserError as error:
            said = str(error)
            assert name in said or ("detectron2's settings: " in said and ": expected" in said)
        else:
            before = pixel_style(values, STYLES["msra"]).apply(with_settings(base, values))
            assert ours != before, f"{name}={other!r} changes nothing"


@pytest.mark.parametrize("name", [name for name in theirs.DEFAULTS if name not in MATTERS])
def test_the_others_change_nothing(name: str) -> None:
    assert with_settings(BASE, theirs.FPN | {name: "something else"}) == with_settings(BASE, theirs.FPN)


def weights(config: Config) -> dict[str, torch.Tensor]:
    return build_model_without_memory(config, 80, 17).state_dict()


def with_(config: Config, **changes: dict[str, Any]) -> Config:
    return replace(config, **{part: replace(getattr(config, part), **values) for part, values in changes.items()})


RPN_ALONE = with_(BASE, box_head={"enabled": False}, mask_head={"enabled": False})
PUBLISHED: dict[str, tuple[theirs.Settings, Config]] = {
    "mask_rcnn_R_50_FPN_3x": (theirs.FPN, BASE),
    "mask_rcnn_R_50_C4_3x": (theirs.C4, with_(preset("c4"), resnet={"stage5_stride": 2})),
    "mask_rcnn_R_50_DC5_3x": (theirs.DC5, with_(BASE, backbone={"features": "c5"}, anchors=vars(preset("c4").anchors))),
    "mask_rcnn_X_101_32x8d_FPN_3x": (theirs.X101, with_(BASE, backbone={"name": "resnext101_32x8d"})),
    "mask_rcnn_R_50_FPN_3x_gn": (
        theirs.GROUP_NORM,
        with_(
            BASE,
            backbone={"norm": "gn"},
            fpn={"norm": "gn"},
            box_head={"norm": "gn", "num_convs": 4, "num_fcs": 1},
            mask_head={"norm": "gn"},
        ),
    ),
    "keypoint_rcnn_R_50_FPN_3x": (theirs.KEYPOINTS, KEYPOINTS),
    "faster_rcnn_R_50_FPN_3x": (theirs.FASTER, with_(BASE, mask_head={"enabled": False})),
    "fast_rcnn_R_50_FPN_1x": (theirs.FAST, with_(BASE, rpn={"enabled": False}, mask_head={"enabled": False})),
    "rpn_R_50_FPN_1x": (theirs.RPN_ALONE, RPN_ALONE),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_say_what_is_assumed_without_them(name: str) -> None:
    """The whole file of a published model: nothing is refused, nothing is missing, and no setting of ours changes."""
    values, network = PUBLISHED[name]
    assumed = _as_published(Layout(weights(network)))
    told = with_settings(assumed, values)
    assert not_said(assumed, values) == []
    if name == "rpn_R_50_FPN_1x":  # the proposals of an RPN alone are its results, of which more are kept
        told = with_(told, rpn={"post_nms_top_k_test": 1000})
    assert told == assumed


def test_settings_of_parts_that_are_not_there_are_not_read() -> None:
    alone = {"MODEL.ROI_HEADS.NAME": "CascadeROIHeads", "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlignRotated"}
    assert with_settings(RPN_ALONE, theirs.RPN_ALONE | alone) == with_settings(RPN_ALONE, theirs.RPN_ALONE)
    assert not is_read("MODEL.ROI_MASK_HEAD.NAME", KEYPOINTS) and is_read("MODEL.ROI_KEYPOINT_HEAD.NAME", KEYPOINTS)
    backbone = of_backbone(theirs.FASTER)
    assert "MODEL.MASK_ON" not in backbone and backbone["MODEL.RESNETS.NORM"] == "FrozenBN"


def test_pixels(tmp_path: Path) -> None:
    style = pixel_style(read(tmp_path), STYLES["msra"])
    assert style.order == "RGB" and style.mean == (123.675, 116.28, 103.53) and not style.stride_in_1x1
    assert style.std == (1, 1, 1)  # not in the file
    assert pixel_style({}, STYLES["resnext"]) == STYLES["resnext"]
    for wrong in (
        {"INPUT.FORMAT": "YUV"},
        {"MODEL.PIXEL_MEAN": [1, 2]},
        {"MODEL.PIXEL_STD": "1, 1, 1"},
        {"MODEL.RESNETS.STRIDE_IN_1X1": "yes"},
    ):
        with pytest.raises(UserError, match=r"expected (RGB or BGR|three numbers|true or false)"):
            pixel_style(wrong, STYLES["msra"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIAlignRotated", "can only do 'ROIAlignV2', 'ROIAlign', 'ROIPool'"),
        ("MODEL.META_ARCHITECTURE", "RetinaNet", "is 'RetinaNet', but 'GeneralizedRCNN' by the weights"),
        ("MODEL.RESNETS.DEPTH", 101, "is 101, but 50 by the weights; expected the config.yaml of this model"),
        ("MODEL.MASK_ON", False, "MODEL.MASK_ON is False, but True by the weights"),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False, True, True, True], "DEFORM_ON_PER_STAGE"),
        ("MODEL.ROI_HEADS.NAME", "CascadeROIHeads", "ROI_HEADS.NAME is 'CascadeROIHeads'; this package can only do"),
        ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [[1.0], [2.0]], "the same anchor ratios on all levels"),
        ("MODEL.RPN.NMS_THRESH", 7, "detectron2's settings: rpn.nms_threshold: expected a number from 0 to 1"),
        ("MODEL.RPN.IOU_THRESHOLDS", [0.5], r"IOU_THRESHOLDS: expected a list of 2 number\(s\)"),
        ("MODEL.RESNETS.RES5_DILATION", "two", "MODEL.RESNETS.RES5_DILATION is 'two'"),
        ("INPUT.MIN_SIZE_TRAIN", 8.5, "INPUT.MIN_SIZE_TRAIN: expected a list of whole numbers"),
        ("INPUT.MIN_SIZE_TEST", 0, "INPUT.MIN_SIZE_TEST is 0"),
        (
            "INPUT.MAX_SIZE_TRAIN",
            900,
            "INPUT.MAX_SIZE_TEST is 1333; .* both; it matters to training alone: to predict, leave the line out",
        ),
        ("MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES", True, "it matters to training alone"),
        ("TEST.KEYPOINT_OKS_SIGMAS", [0.1], "it matters to evaluation alone"),
        ("TEST.DETECTIONS_PER_IMAGE", "many", "box_head.max_detections: expected a whole number"),
        ("MODEL.RPN.NMS_TRESH", 0.7, r"no setting of detectron2's .* did you mean MODEL\.RPN\.NMS_THRESH\?"),
        ("MODEL.POINT_HEAD_ON", True, "MODEL.POINT_HEAD_ON"),
    ],
)
def test_what_cannot_be_done_is_said(name: str, value: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        with_settings(BASE, {name: value})
    assert "\n" not in str(caught.value)


def test_heads_that_would_need_features_of_their_own() -> None:
    box = {"MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 2, "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlign"}
    mask = {"MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO": 2, "MODEL.ROI_MASK_HEAD.POOLER_TYPE": "ROIAlign"}
    assert with_settings(BASE, box | mask).roi.sampling_ratio == 2
    for name in mask:
        other = {name: 0 if name.endswith("RATIO") else "ROIAlignV2"}
        with pytest.raises(
            UserError, match=f"{name} is .*, and MODEL.ROI_BOX_HEAD.* is .*; this package has one for both"
        ):
            with_settings(BASE, box | mask | other)


def test_long_and_unprintable_values_are_cut_short() -> None:
    for values in (
        {"MODEL.RPN.HEAD_NAME": "x\x1b" * 10_000},
        {"\x1b]0;" * 10_000: 1},
        {"TEST.AUG.ENABLED": [[0]] * 9999},
    ):
        with pytest.raises(UserError) as caught:
            with_settings(BASE, values)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 400
