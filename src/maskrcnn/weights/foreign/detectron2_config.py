"""detectron2's own settings (`config.yaml` beside a trained model) in our terms.

A weight file does not hold the sizes, thresholds and limits a model was made with, nor how its images were fed to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.settings import update_config
from maskrcnn.weights.foreign.pixels import PixelStyle

_SOURCE = "detectron2's settings"
"""What messages call them."""

_OURS = {
    "INPUT.MIN_SIZE_TEST": "input.min_size",
    "INPUT.MAX_SIZE_TEST": "input.max_size",
    "MODEL.ANCHOR_GENERATOR.SIZES": "anchors.sizes",
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
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": "box_head.pooled_size",
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": "roi.sampling_ratio",
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": "mask_head.pooled_size",
    "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION": "keypoint_head.pooled_size",
    "MODEL.RESNETS.RES5_DILATION": "backbone.stage5_dilation",
    "MODEL.BACKBONE.FREEZE_AT": "backbone.frozen_stages",
    "TEST.DETECTIONS_PER_IMAGE": "box_head.max_detections",
}
"""Settings that mean the same in both; what the weights show is not among them."""

_ONLY: dict[str, tuple[Any, ...]] = {
    "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN", "ProposalNetwork"),
    "MODEL.ANCHOR_GENERATOR.OFFSET": (0.0,),
    "MODEL.RPN.BBOX_REG_WEIGHTS": ([1.0, 1.0, 1.0, 1.0],),
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": ([10.0, 10.0, 5.0, 5.0],),
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": ("ROIAlignV2", "ROIAlign"),
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": (False,),
    "MODEL.RESNETS.DEFORM_ON_PER_STAGE": ([False] * 4,),
    "MODEL.FPN.FUSE_TYPE": ("sum",),
}
"""Settings of which this package can do only these values."""


def read_detectron2_config(path: Path) -> dict[str, Any]:
    """The settings in a detectron2 `config.yaml`, "MODEL.RPN.NMS_THRESH" and so on.

    Raises:
        UserError: the file cannot be read, or is no such file.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: expected detectron2's config.yaml, but: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict) or not isinstance(values.get("MODEL"), dict):
        raise UserError(f"{path}: expected detectron2's config.yaml, with a section MODEL")
    return flatten(values)


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested sections as one dictionary, with dots in the names."""
    return dict(_flat(values, ""))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def pixel_style(values: Mapping[str, Any], default: PixelStyle) -> PixelStyle:
    """How the images are fed to the network; what the settings do not say is as in `default`."""
    order = values.get("INPUT.FORMAT", default.order)
    if order not in ("RGB", "BGR"):
        raise UserError(f"INPUT.FORMAT: expected RGB or BGR, got {order!r}")
    return PixelStyle(
        cast(Literal["RGB", "BGR"], order),
        _three(values, "MODEL.PIXEL_MEAN", default.mean),
        _three(values, "MODEL.PIXEL_STD", default.std),
        bool(values.get("MODEL.RESNETS.STRIDE_IN_1X1", default.stride_in_1x1)),
    )


def with_settings(config: Config, values: Mapping[str, Any]) -> Config:
    """`config` with detectron2's settings.

    Raises:
        UserError: a setting that this package has no counterpart for differs from what it does.
    """
    for name, choices in _ONLY.items():
        if name in values and values[name] not in choices:
            raise UserError(f"{_SOURCE}: {name} is {values[name]!r}; this package can only do {choices[0]!r}")
    ours: dict[str, dict[str, Any]] = {}
    settings = {setting: values[name] for name, setting in _OURS.items() if name in values}
    try:
        settings |= _derived(values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{_SOURCE}: a setting is of the wrong kind ({error})") from None
    for setting, value in settings.items():
        section, _, field = setting.partition(".")
        ours.setdefault(section, {})[field] = value
    return update_config(config, ours, _SOURCE)


def _derived(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are said in another way there."""
    ours: dict[str, Any] = {}
    if {"INPUT.MIN_SIZE_TEST", "INPUT.MAX_SIZE_TEST"} <= values.keys():  # the larger of them has no effect there
        ours["input.min_size"] = min(values["INPUT.MIN_SIZE_TEST"], values["INPUT.MAX_SIZE_TEST"])
    if (sides := values.get("INPUT.MIN_SIZE_TRAIN")) is not None:
        ours["augment.min_sizes"] = _training_sides(values, sides)
    if (dilation := values.get("MODEL.RESNETS.RES5_DILATION")) is not None:
        ours["backbone.stage5_stride"] = 1 if dilation > 1 else 2
    if (pooler := values.get("MODEL.ROI_BOX_HEAD.POOLER_TYPE")) is not None:
        ours["roi.aligned"] = pooler == "ROIAlignV2"
    if (ratios := values.get("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS")) is not None:
        if len(ratios) != 1:
            raise UserError(f"{_SOURCE}: expected the same anchor ratios on all levels, got {ratios!r}")
        ours["anchors.ratios"] = ratios[0]
    return ours


def _training_sides(values: Mapping[str, Any], sides: Any) -> list[int]:
    """One, one of several, or any between two."""
    if isinstance(sides, int):
        return [sides]
    if values.get("INPUT.MIN_SIZE_TRAIN_SAMPLING") == "range":
        return list(range(min(sides), max(sides) + 1))
    return list(sides)


def _three(values: Mapping[str, Any], name: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
    given = values.get(name, default)
    if not isinstance(given, list | tuple) or len(given) != 3 or not all(isinstance(v, int | float) for v in given):
        raise UserError(f"{name}: expected three numbers, got {given!r}")
    return float(given[0]), float(given[1]), float(given[2])
