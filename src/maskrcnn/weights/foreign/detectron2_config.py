"""detectron2's own settings in our terms.

A weight file does not hold the sizes, thresholds and limits a model was made with, nor how its images were fed to it.
Every setting of the file is taken over, or changes nothing, or is refused by name (`detectron2_keys.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.json_values import is_number
from maskrcnn.settings import nearest, update_config
from maskrcnn.text import brief
from maskrcnn.weights.foreign.detectron2_keys import (
    ALONE,
    KNOWN,
    OURS,
    PIXELS,
    TWINS,
    allowed,
    is_known,
    is_read,
    shown,
)
from maskrcnn.weights.foreign.pixels import PixelStyle

_SOURCE = "detectron2's settings"
"""What messages call them."""

_NORMS = {
    "FrozenBN": "frozen_bn",
    "BN": "bn",
    **dict.fromkeys(("SyncBN", "nnSyncBN", "naiveSyncBN", "naiveSyncBN_N"), "sync_bn"),
    "GN": "gn",
}
_OPERATORS: dict[str, dict[str, Any]] = {
    "ROIAlignV2": {"roi.operator": "align", "roi.aligned": True},
    "ROIAlign": {"roi.operator": "align", "roi.aligned": False},
    "ROIPool": {"roi.operator": "pool"},
}
_FLIPS = {"horizontal": (0.5, 0.0), "vertical": (0.0, 0.5), "none": (0.0, 0.0)}
_BACKBONES_OWN = ("INPUT.", "MODEL.PIXEL_", "MODEL.RESNETS.", "MODEL.BACKBONE.FREEZE_AT")


def pixel_style(values: Mapping[str, Any], default: PixelStyle) -> PixelStyle:
    """How the images are fed to the network; what the settings do not say is as in `default`."""
    order, stride_in_1x1 = values.get(PIXELS[0], default.order), values.get(PIXELS[3], default.stride_in_1x1)
    if order not in ("RGB", "BGR"):
        raise UserError(f"INPUT.FORMAT: expected RGB or BGR, got {brief(order)}")
    if not isinstance(stride_in_1x1, bool):
        raise UserError(f"{PIXELS[3]}: expected true or false, got {brief(stride_in_1x1)}")
    return PixelStyle(
        cast(Literal["RGB", "BGR"], order),
        _three(values, "MODEL.PIXEL_MEAN", default.mean),
        _three(values, "MODEL.PIXEL_STD", default.std),
        stride_in_1x1,
    )


def of_backbone(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that mean something without an RPN and heads; a name that detectron2 does not have is an error."""
    _require_known(values)
    return {name: value for name, value in values.items() if name.startswith(_BACKBONES_OWN)}


def with_settings(config: Config, values: Mapping[str, Any]) -> Config:
    """`config` with detectron2's settings.

    Raises:
        UserError: naming a setting that detectron2 does not have, that this package cannot do, or that the weights
            contradict.
    """
    _require_known(values)
    read = {name: value for name, value in values.items() if is_read(name, config)}
    _require_allowed(config, read)
    settings = {setting: read[name] for name, setting in OURS.items() if name in read} | _translated(config, read)
    ours: dict[str, dict[str, Any]] = {}
    for setting, value in settings.items():
        section, _, field = setting.partition(".")
        ours.setdefault(section, {})[field] = value
    return update_config(config, ours, _SOURCE)


def not_said(config: Config, values: Mapping[str, Any]) -> list[str]:
    """The settings that matter to such a model and are not in the file, as where it is not the one that was saved."""
    return [name for name in (*OURS, *PIXELS) if name not in values and is_read(name, config)]


def _require_known(values: Mapping[str, Any]) -> None:
    for name in values:
        if not is_known(name):
            raise UserError(f"{_SOURCE}: {brief(name)} is no setting of detectron2's that is known here; {_near(name)}")


def _near(name: str) -> str:
    hint = nearest(name[:100], KNOWN)
    return hint if hint.startswith("did") else "leave the line out if the model does without it"


def _require_allowed(config: Config, values: Mapping[str, Any]) -> None:
    choices, truths = allowed(config), shown(config)
    for name, value in values.items():
        problem = ""
        if name in choices and value not in choices[name]:
            problem = f"; this package can only do {choices[name][0]!r}"
        elif name in truths and value != truths[name]:
            problem = f", but {truths[name]!r} by the weights; expected the config.yaml of this model"
        elif name in TWINS and value != values.get(*TWINS[name]):
            problem = f", and {TWINS[name][0]} is {brief(values.get(*TWINS[name]))}; this package has one for both"
        if problem:
            way_out = f"; it matters to {ALONE[name]} alone: to predict, leave the line out" if name in ALONE else ""
            raise UserError(f"{_SOURCE}: {name} is {brief(value)}{problem}{way_out}")


def _translated(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are said in another way there."""
    return _of_input(values) | _of_network(config, values) | _of_anchors(config, values) | _of_heads(config, values)


def _of_input(values: Mapping[str, Any]) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    shortest, longest = values.get("INPUT.MIN_SIZE_TEST"), values.get("INPUT.MAX_SIZE_TEST")
    if shortest == 0:
        raise UserError(f"{_SOURCE}: INPUT.MIN_SIZE_TEST is 0 (no resizing), which this package cannot do")
    if is_number(shortest) and is_number(longest):  # the larger of them has no effect there
        ours["input.min_size"] = min(shortest, longest)
    if (sides := values.get("INPUT.MIN_SIZE_TRAIN")) is not None:
        ours["augment.min_sizes"] = _training_sides(values, sides)
    if (flip := values.get("INPUT.RANDOM_FLIP")) is not None:
        ours["augment.horizontal_flip"], ours["augment.vertical_flip"] = _choice("INPUT.RANDOM_FLIP", flip, _FLIPS)
    return ours


def _training_sides(values: Mapping[str, Any], sides: Any) -> Any:
    """One, one of several, or any between two."""
    name = "INPUT.MIN_SIZE_TRAIN_SAMPLING"
    between = _choice(name, values.get(name, "choice"), {"choice": False, "range": True})
    sides = _list("INPUT.MIN_SIZE_TRAIN", sides if isinstance(sides, list) else [sides], int)
    return list(range(min(sides), max(sides) + 1)) if between else sides


def _of_network(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    name = "MODEL.RESNETS.RES5_DILATION"
    if (dilation := values.get(name)) is not None:
        ours["resnet.stage5_stride"] = _choice(name, dilation, {1: 2, 2: 1})
    if (norm := values.get("MODEL.RESNETS.NORM")) is not None:
        ours["backbone.norm"] = _choice("MODEL.RESNETS.NORM", norm, _NORMS)
    for part, section in (("FPN", "fpn"), ("ROI_BOX_HEAD", "box_head"), ("ROI_MASK_HEAD", "mask_head")):
        if (norm := values.get(f"MODEL.{part}.NORM")) is not None:
            ours[f"{section}.norm"] = _choice(f"MODEL.{part}.NORM", norm, {"": None, **_NORMS})
    return ours


def _of_anchors(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    if (sizes := values.get("MODEL.ANCHOR_GENERATOR.SIZES")) is not None:
        levels = _levels("MODEL.ANCHOR_GENERATOR.SIZES", sizes)
        ours["anchors.sizes"] = levels * len(config.anchors.sizes) if len(levels) == 1 else levels
    if (ratios := values.get("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS")) is not None:
        levels = _levels("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", ratios)
        if any(level != levels[0] for level in levels):
            raise UserError(
                f"{_SOURCE}: MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS is {brief(ratios)}; this package can only do the "
                "same anchor ratios on all levels"
            )
        ours["anchors.ratios"] = levels[0]
    if (name := "MODEL.RPN.IOU_THRESHOLDS") in values:
        ours["rpn.negative_iou"], ours["rpn.positive_iou"] = _list(name, values[name], float, 2)
    return ours | _rpn_weights(values)


def _rpn_weights(values: Mapping[str, Any]) -> dict[str, Any]:
    """One weight is for both losses, the other for the boxes' besides."""
    names = ("MODEL.RPN.LOSS_WEIGHT", "MODEL.RPN.BBOX_REG_LOSS_WEIGHT")
    if not any(name in values for name in names):
        return {}
    both, box = (_list(name, [values.get(name, 1.0)], float, 1)[0] for name in names)
    return {"rpn.objectness_weight": both, "rpn.box_weight": both * box}


def _levels(name: str, value: Any) -> list[list[float]]:
    """A list per level; one list alone, whether in a list or not, is meant for all levels."""
    lists = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    return [_list(name, level, float) for level in lists]


def _of_heads(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    ours: dict[str, Any] = {}
    if (name := "MODEL.ROI_HEADS.IOU_THRESHOLDS") in values:
        (ours["roi.positive_iou"],) = _list(name, values[name], float, 1)
    if (pooler := values.get("MODEL.ROI_BOX_HEAD.POOLER_TYPE")) is not None:
        ours |= _choice("MODEL.ROI_BOX_HEAD.POOLER_TYPE", pooler, _OPERATORS)
    if config.backbone.features == "c4" and (size := values.get("MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION")) is not None:
        ours["mask_head.pooled_size"] = size  # stage 5 runs once, for both
    return ours


def _choice(name: str, value: Any, choices: Mapping[Any, Any]) -> Any:
    if not isinstance(value, str | int) or value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise UserError(f"{_SOURCE}: {name} is {brief(value)}; this package can only do {listed}")
    return choices[value]


def _list(name: str, value: Any, kind: type, length: int | None = None) -> list[Any]:
    """A list of numbers, not empty.

    Raises:
        UserError: anything else, or of another length than `length`.
    """
    numbers = isinstance(value, list) and all(is_number(item) and kind(item) == item for item in value)
    if not numbers or not value or length not in (None, len(value)):
        what = f"{length} number(s)" if length else "whole numbers" if kind is int else "numbers"
        raise UserError(f"{_SOURCE}: {name}: expected a list of {what}, got {brief(value)}")
    return [kind(item) for item in value]


def _three(values: Mapping[str, Any], name: str, default: tuple[float, float, float]) -> tuple[float, float, float]:
    given = values.get(name, default)
    if not isinstance(given, list | tuple) or len(given) != 3 or not all(map(is_number, given)):
        raise UserError(f"{name}: expected three numbers, got {brief(given)}")
    return float(given[0]), float(given[1]), float(given[2])
