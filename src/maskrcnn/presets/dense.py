"""FCN, the counter-example: the class of every pixel, and no objects."""

from __future__ import annotations

from dataclasses import replace

from maskrcnn.config import Config, SemanticHeadConfig
from maskrcnn.presets.family import paper


def fcn() -> Config:
    """FCN-8s (Long et al. 2015) on ResNet-50: the class of every pixel, from strides 32, 16 and 8; no objects."""
    base = paper()
    return replace(
        base,
        backbone=replace(base.backbone, features="stages"),
        rpn=replace(base.rpn, enabled=False),
        box_head=replace(base.box_head, enabled=False),
        mask_head=replace(base.mask_head, enabled=False),
        semantic_head=SemanticHeadConfig(enabled=True),
    )


def fcn_16s() -> Config:
    """FCN-16s: `fcn` without the skip from stride 8."""
    return replace(fcn(), semantic_head=SemanticHeadConfig(enabled=True, stride=16))


def fcn_32s() -> Config:
    """FCN-32s: `fcn` without skips, from the map at stride 32 alone."""
    return replace(fcn(), semantic_head=SemanticHeadConfig(enabled=True, stride=32))
