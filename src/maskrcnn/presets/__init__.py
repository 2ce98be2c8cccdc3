"""Presets: functions that return a complete `Config`. A variant calls another preset and replaces what differs."""

from __future__ import annotations

from collections.abc import Callable

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.presets.desktop import facades, keypoints_tiny, nuclei, small, tiny
from maskrcnn.presets.family import c4, keypoints, paper
from maskrcnn.presets.libraries import detectron2, torchvision, torchvision_v2
from maskrcnn.settings import nearest

__all__ = [
    "PRESETS",
    "c4",
    "detectron2",
    "facades",
    "keypoints",
    "keypoints_tiny",
    "nuclei",
    "paper",
    "preset",
    "small",
    "tiny",
    "torchvision",
    "torchvision_v2",
]

PRESETS: dict[str, Callable[[], Config]] = {
    "paper": paper,
    "c4": c4,
    "keypoints": keypoints,
    "torchvision": torchvision,
    "torchvision_v2": torchvision_v2,
    "detectron2": detectron2,
    "small": small,
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
