"""The whole model of a `Config`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from maskrcnn.build.backbones import build_trunk
from maskrcnn.build.heads import DENSE_BRANCHES, ROI_BRANCHES, build_box_head, build_rpn
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.preprocess import Preprocess


def build_model(config: Config, num_classes: int, num_keypoints: int | None = None) -> MaskRCNN:
    """The model of `config` for K classes, with fresh random weights, channels-last in memory.

    Args:
        config: the settings.
        num_classes: K.
        num_keypoints: P, if there is a keypoint branch; None: the 17 of COCO's persons.

    Raises:
        UserError: for an unknown backbone name.
    """
    trunk = build_trunk(config)
    model = MaskRCNN(
        preprocess=build_preprocess(config),
        backbone=trunk.backbone,
        rpn=build_rpn(config, trunk) if config.rpn.enabled else None,
        box_head=build_box_head(config, trunk, num_classes) if config.box_head.enabled else None,
        roi_branches={
            name: build(config, trunk, num_classes, num_keypoints)
            for name, build in ROI_BRANCHES.items()
            if getattr(config, name).enabled
        },
        dense_branches={
            name: build(config, trunk, num_classes)
            for name, build in DENSE_BRANCHES.items()
            if getattr(config, name).enabled
        },
        roi_layers=trunk.roi_layers if config.box_head.enabled else None,
    )
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def build_model_without_memory(config: Config, num_classes: int, num_keypoints: int | None = None) -> MaskRCNN:
    """As `build_model`, with weights that are mere shapes (device "meta"): to be given weights, or to be counted."""
    with torch.device("meta"), _NothingDrawn():
        return build_model(config, num_classes, num_keypoints)


class _NothingDrawn(TorchFunctionMode):
    """Weights stay as they are: the first random number on device "meta" imports a compiler, 100 MiB of it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        if func in (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_normal_, nn.init.kaiming_uniform_):
            return kwargs["tensor"]
        return func(*args, **kwargs)


def build_preprocess(config: Config) -> Preprocess:
    """The way from a picture to the network's input."""
    settings = config.input
    if not settings.mean:
        raise UserError(
            f"input.mean, input.std: expected {settings.channels} number(s) in each to build a model with, got none; "
            "`train` measures them on its images, or give them"
        )
    return Preprocess(
        min_size=settings.min_size,
        max_size=settings.max_size,
        shrink=settings.shrink,
        antialias=settings.antialias,
        mean=settings.mean,
        std=settings.std,
        size_divisor=settings.size_divisor,
        round_to_nearest=settings.rounding == "nearest",
    )
