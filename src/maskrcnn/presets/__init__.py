"""Presets: functions that return a complete `Config`. A variant calls another preset and replaces what differs."""

from __future__ import annotations

from collections.abc import Callable

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.presets.dense import fcn, fcn_16s, fcn_32s
from maskrcnn.presets.desktop import facades, keypoints_tiny, light, nuclei, small, tiny
from maskrcnn.presets.family import (
    c4,
    c5,
    dc5,
    fast_r_cnn,
    faster_r_cnn,
    faster_r_cnn_pool,
    joint,
    keypoints,
    panoptic,
    paper,
    r_cnn,
    resnext,
    rpn,
)
from maskrcnn.presets.libraries import copy_paste, detectron2, lsj, torchvision, torchvision_v2
from maskrcnn.settings import nearest

__all__ = [
    "PRESETS",
    "c4",
    "c5",
    "copy_paste",
    "dc5",
    "detectron2",
    "facades",
    "fast_r_cnn",
    "faster_r_cnn",
    "faster_r_cnn_pool",
    "fcn",
    "fcn_16s",
    "fcn_32s",
    "joint",
    "keypoints",
    "keypoints_tiny",
    "light",
    "lsj",
    "nuclei",
    "panoptic",
    "paper",
    "preset",
    "r_cnn",
    "resnext",
    "rpn",
    "small",
    "tiny",
    "torchvision",
    "torchvision_v2",
]

PRESETS: dict[str, Callable[[], Config]] = {
    "r_cnn": r_cnn,
    "fast_r_cnn": fast_r_cnn,
    "faster_r_cnn_pool": faster_r_cnn_pool,
    "faster_r_cnn": faster_r_cnn,
    "rpn": rpn,
    "c4": c4,
    "c5": c5,
    "dc5": dc5,
    "paper": paper,
    "resnext": resnext,
    "keypoints": keypoints,
    "joint": joint,
    "panoptic": panoptic,
    "fcn": fcn,
    "fcn_16s": fcn_16s,
    "fcn_32s": fcn_32s,
    "torchvision": torchvision,
    "torchvision_v2": torchvision_v2,
    "detectron2": detectron2,
    "lsj": lsj,
    "copy_paste": copy_paste,
    "small": small,
    "light": light,
    "nuclei": nuclei,
    "facades": facades,
    "tiny": tiny,
    "keypoints_tiny": keypoints_tiny,
}


def preset(name: str) -> Config:
    """The settings of a preset.

    Raises:
        UserError: for an unknown name, with the nearest one.
    """
    if name not in PRESETS:
        raise UserError(f"preset {name!r} is unknown; {nearest(name, PRESETS)}")
    return PRESETS[name]()
