"""Every setting that detectron2's `config.yaml` can hold, and what becomes of it.

A setting is the same thing here (`OURS`), is said in another way here (`TRANSLATED`, by `detectron2_config.py`), can
only have the values that this package computes with (`allowed`), is shown by the weights themselves, or changes nothing
about a model. There is no sixth kind: a name that is in none of the tables is an error.
"""

from __future__ import annotations

import re
from typing import Any

from maskrcnn.config import Config

OURS = {
    "INPUT.MIN_SIZE_TEST": "input.min_size",
    "INPUT.MAX_SIZE_TEST": "input.max_size",
    "MODEL.RPN.SMOOTH_L1_BETA": "rpn.smooth_l1_beta",
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": "rpn.samples_per_image",
    "MODEL.RPN.POSITIVE_FRACTION": "rpn.positive_fraction",
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": "rpn.pre_nms_top_k_train",
    "MODEL.RPN.PRE_NMS_TOPK_TEST": "rpn.pre_nms_top_k_test",
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": "rpn.post_nms_top_k_train",
    "MODEL.RPN.POST_NMS_TOPK_TEST": "rpn.post_nms_top_k_test",
    "MODEL.RPN.NMS_THRESH": "rpn.nms_threshold",
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": "rpn.min_size",
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": "roi.samples_per_image",
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": "roi.positive_fraction",
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": "box_head.score_threshold",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": "box_head.nms_threshold",
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": "box_head.smooth_l1_beta",
    "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT": "box_head.box_weight",
    "MODEL.ROI_KEYPOINT_HEAD.LOSS_WEIGHT": "keypoint_head.loss_weight",
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": "box_head.pooled_size",
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": "roi.sampling_ratio",
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": "mask_head.pooled_size",
    "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION": "keypoint_head.pooled_size",
    "MODEL.RESNETS.RES5_DILATION": "resnet.stage5_dilation",
    "MODEL.BACKBONE.FREEZE_AT": "backbone.frozen_stages",
    "TEST.DETECTIONS_PER_IMAGE": "box_head.max_detections",
}
"""Settings that mean the same in both."""

PIXELS = ("INPUT.FORMAT", "MODEL.PIXEL_MEAN", "MODEL.PIXEL_STD", "MODEL.RESNETS.STRIDE_IN_1X1")
"""How images are fed to the network; `pixel_style` reads them."""

TRANSLATED = (
    *PIXELS,
    "INPUT.MIN_SIZE_TRAIN",
    "INPUT.MIN_SIZE_TRAIN_SAMPLING",
    "INPUT.RANDOM_FLIP",
    "MODEL.ANCHOR_GENERATOR.SIZES",
    "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS",
    "MODEL.RESNETS.NORM",
    "MODEL.FPN.NORM",
    "MODEL.RPN.BBOX_REG_LOSS_WEIGHT",
    "MODEL.RPN.IOU_THRESHOLDS",
    "MODEL.RPN.LOSS_WEIGHT",
    "MODEL.ROI_HEADS.IOU_THRESHOLDS",
    "MODEL.ROI_BOX_HEAD.NORM",
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE",
    "MODEL.ROI_MASK_HEAD.NORM",
)
"""Settings that are said in another way here."""

_SINGLE_VALUED: dict[str, tuple[Any, ...]] = {
    "VERSION": (2,),
    "INPUT.CROP.ENABLED": (False,),
    "MODEL.ANCHOR_GENERATOR.NAME": ("DefaultAnchorGenerator",),
    "MODEL.ANCHOR_GENERATOR.OFFSET": (0.0,),
    "MODEL.ANCHOR_GENERATOR.ANGLES": ([[-90, 0, 90]],),
    "MODEL.FPN.FUSE_TYPE": ("sum",),
    "MODEL.RESNETS.DEFORM_ON_PER_STAGE": ([False] * 4,),
    "MODEL.RPN.HEAD_NAME": ("StandardRPNHead",),
    "MODEL.RPN.BOUNDARY_THRESH": (-1,),
    "MODEL.RPN.IOU_LABELS": ([0, -1, 1],),
    "MODEL.RPN.BBOX_REG_LOSS_TYPE": ("smooth_l1",),
    "MODEL.RPN.BBOX_REG_WEIGHTS": ([1.0, 1.0, 1.0, 1.0],),
    "MODEL.ROI_HEADS.IOU_LABELS": ([0, 1],),
    "MODEL.ROI_HEADS.PROPOSAL_APPEND_GT": (True,),
    "MODEL.ROI_BOX_HEAD.NAME": ("FastRCNNConvFCHead",),
    "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE": ("smooth_l1",),
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": ([10.0, 10.0, 5.0, 5.0],),
    "MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES": (False,),
    "MODEL.ROI_BOX_HEAD.USE_FED_LOSS": (False,),
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": (False,),
    "MODEL.ROI_MASK_HEAD.NAME": ("MaskRCNNConvUpsampleHead",),
    "MODEL.ROI_KEYPOINT_HEAD.NAME": ("KRCNNConvDeconvUpsampleHead",),
    "MODEL.ROI_KEYPOINT_HEAD.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS": (True,),
    "TEST.AUG.ENABLED": (False,),
    "TEST.KEYPOINT_OKS_SIGMAS": ([],),
}
"""Settings of which this package computes with one value, whatever the model."""

_BY_FEATURES: dict[str, dict[str, tuple[Any, ...]]] = {
    "fpn": {
        "MODEL.BACKBONE.NAME": ("build_resnet_fpn_backbone",),
        "MODEL.FPN.IN_FEATURES": (["res2", "res3", "res4", "res5"],),
        "MODEL.RPN.IN_FEATURES": (["p2", "p3", "p4", "p5", "p6"],),
        "MODEL.ROI_HEADS.NAME": ("StandardROIHeads",),
        "MODEL.ROI_HEADS.IN_FEATURES": (["p2", "p3", "p4", "p5"],),
    },
    "c4": {
        "MODEL.BACKBONE.NAME": ("build_resnet_backbone",),
        "MODEL.RPN.IN_FEATURES": (["res4"],),
        "MODEL.ROI_HEADS.NAME": ("Res5ROIHeads",),
        "MODEL.ROI_HEADS.IN_FEATURES": (["res4"],),
    },
    "c5": {
        "MODEL.BACKBONE.NAME": ("build_resnet_backbone",),
        "MODEL.RPN.IN_FEATURES": (["res5"],),
        "MODEL.ROI_HEADS.NAME": ("StandardROIHeads",),
        "MODEL.ROI_HEADS.IN_FEATURES": (["res5"],),
    },
}
"""Settings that follow from which maps the heads read."""

ALONE = {
    **dict.fromkeys(
        (
            "INPUT.CROP.ENABLED",
            "INPUT.MAX_SIZE_TRAIN",
            "INPUT.MIN_SIZE_TRAIN_SAMPLING",
            "INPUT.RANDOM_FLIP",
            "MODEL.RPN.BOUNDARY_THRESH",
            "MODEL.RPN.IOU_LABELS",
            "MODEL.RPN.BBOX_REG_LOSS_TYPE",
            "MODEL.ROI_HEADS.IOU_LABELS",
            "MODEL.ROI_HEADS.PROPOSAL_APPEND_GT",
            "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE",
            "MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES",
            "MODEL.ROI_BOX_HEAD.USE_FED_LOSS",
            "MODEL.ROI_KEYPOINT_HEAD.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS",
        ),
        "training",
    ),
    "TEST.KEYPOINT_OKS_SIGMAS": "evaluation",
}
"""Settings that change no prediction, and what they do change."""

_SHOWN = frozenset(
    (
        "MODEL.FPN.OUT_CHANNELS",
        "MODEL.RESNETS.NUM_GROUPS",
        "MODEL.RESNETS.OUT_FEATURES",
        "MODEL.RESNETS.RES2_OUT_CHANNELS",
        "MODEL.RESNETS.STEM_OUT_CHANNELS",
        "MODEL.RESNETS.WIDTH_PER_GROUP",
        "MODEL.RPN.CONV_DIMS",
        "MODEL.ROI_HEADS.NUM_CLASSES",
        "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG",
        "MODEL.ROI_BOX_HEAD.CONV_DIM",
        "MODEL.ROI_BOX_HEAD.FC_DIM",
        "MODEL.ROI_BOX_HEAD.NUM_CONV",
        "MODEL.ROI_BOX_HEAD.NUM_FC",
        "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK",
        "MODEL.ROI_MASK_HEAD.CONV_DIM",
        "MODEL.ROI_MASK_HEAD.NUM_CONV",
        "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS",
        "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS",
    )
)
"""What the weights' names and shapes show as well, and reliably."""

_HARMLESS = frozenset(
    (
        "CUDNN_BENCHMARK",
        "FLOAT32_PRECISION",
        "OUTPUT_DIR",
        "SEED",
        "VIS_PERIOD",
        "INPUT.CROP.SIZE",
        "INPUT.CROP.TYPE",
        "INPUT.MASK_FORMAT",
        "MODEL.DEVICE",
        "MODEL.WEIGHTS",
        "MODEL.RESNETS.DEFORM_MODULATED",
        "MODEL.RESNETS.DEFORM_NUM_GROUPS",
        "MODEL.ROI_BOX_HEAD.FED_LOSS_FREQ_WEIGHT_POWER",
        "MODEL.ROI_BOX_HEAD.FED_LOSS_NUM_CLASSES",
        "MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE",
        "TEST.AUG.FLIP",
        "TEST.AUG.MAX_SIZE",
        "TEST.AUG.MIN_SIZES",
        "TEST.EVAL_PERIOD",
        "TEST.EXPECTED_RESULTS",
    )
)
_HARMLESS_SECTIONS = (
    "DATALOADER.",
    "DATASETS.",
    "GLOBAL.",
    "SOLVER.",
    "TEST.PRECISE_BN.",
    "MODEL.PANOPTIC_FPN.",
    "MODEL.RETINANET.",
    "MODEL.ROI_BOX_CASCADE_HEAD.",
    "MODEL.SEM_SEG_HEAD.",
)
"""How a training went (its data, its schedule, its folder), and parts that no model of ours has: `allowed` refuses the
settings that would switch them on."""

TWINS: dict[str, tuple[str, Any]] = {
    "INPUT.MAX_SIZE_TRAIN": ("INPUT.MAX_SIZE_TEST", 1333),
    **{
        f"MODEL.{head}.{name}": (f"MODEL.ROI_BOX_HEAD.{name}", default)
        for head in ("ROI_MASK_HEAD", "ROI_KEYPOINT_HEAD")
        for name, default in (("POOLER_SAMPLING_RATIO", 0), ("POOLER_TYPE", "ROIAlignV2"))
    },
}
"""Settings for which there is one here together with another, and detectron2's default of that."""

_COMPARED = (
    "MODEL.KEYPOINT_ON",
    "MODEL.LOAD_PROPOSALS",
    "MODEL.MASK_ON",
    "MODEL.META_ARCHITECTURE",
    "MODEL.PROPOSAL_GENERATOR.NAME",
    "MODEL.RESNETS.DEPTH",
)
"""Settings whose only value depends on the model."""

KNOWN = frozenset((*OURS, *TRANSLATED, *_SINGLE_VALUED, *_BY_FEATURES["fpn"], *_COMPARED, *TWINS, *_SHOWN, *_HARMLESS))


def is_known(name: str) -> bool:
    """Whether detectron2 has a setting of this name."""
    return name in KNOWN or name.startswith(_HARMLESS_SECTIONS)


def is_read(name: str, config: Config) -> bool:
    """Whether detectron2 looks at a setting in a model like ours: those of parts that it does not have mean nothing."""
    stage5_heads = config.backbone.features == "c4"  # they take their features from the box head's RoIs
    parts = {
        "MODEL.FPN.": config.backbone.features == "fpn",
        "MODEL.RPN.": config.rpn.enabled,
        "MODEL.ANCHOR_GENERATOR.": config.rpn.enabled,
        "MODEL.ROI_HEADS.": config.box_head.enabled,
        "MODEL.ROI_BOX_HEAD.N": config.box_head.enabled and not stage5_heads,  # NAME, NORM, NUM_CONV, NUM_FC
        "MODEL.ROI_BOX_HEAD.": config.box_head.enabled,
        "MODEL.ROI_MASK_HEAD.POOLER": config.mask_head.enabled and not stage5_heads,
        "MODEL.ROI_MASK_HEAD.": config.mask_head.enabled,
        "MODEL.ROI_KEYPOINT_HEAD.": config.keypoint_head.enabled,
    }
    return next((there for part, there in parts.items() if name.startswith(part)), True)


def allowed(config: Config) -> dict[str, tuple[Any, ...]]:
    """The values that a model like ours can have been made with, by name; other settings may have any."""
    return {
        **_SINGLE_VALUED,
        **_BY_FEATURES[config.backbone.features],
        "MODEL.LOAD_PROPOSALS": (not config.rpn.enabled,),
        "MODEL.PROPOSAL_GENERATOR.NAME": ("RPN" if config.rpn.enabled else "PrecomputedProposals",),
    }


def shown(config: Config) -> dict[str, Any]:
    """What must be so in the file, since the weights show it; a file that says otherwise is another model's."""
    depth = re.match(r"[a-z]+(\d+)", config.backbone.name)
    says: dict[str, Any] = {
        "MODEL.META_ARCHITECTURE": "GeneralizedRCNN" if config.box_head.enabled else "ProposalNetwork",
        "MODEL.RESNETS.DEPTH": int(depth[1]) if depth else 0,
    }
    if config.box_head.enabled:
        says |= {"MODEL.MASK_ON": config.mask_head.enabled, "MODEL.KEYPOINT_ON": config.keypoint_head.enabled}
    return says
