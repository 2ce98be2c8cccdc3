"""The stages of a prediction: which calls inside the network belong to which."""

from __future__ import annotations

from torch import nn

from maskrcnn.benchmark.meter import Stage
from maskrcnn.models.fpn import FPN
from maskrcnn.models.mask_rcnn import MaskRCNN

PASTE = "paste"

_STAGES = (
    Stage("preprocess", "preprocess", "prepare"),
    Stage("backbone", "backbone.bottom_up"),
    Stage("FPN", "backbone"),
    Stage("RPN head", "rpn.head"),
    Stage("proposals", "rpn"),  # what `rpn.head` leaves: the anchors
    Stage("proposals", "rpn", "select"),
    Stage("box RoI features", "box_head.pooler"),
    Stage("shared RoI layers", "roi_layers"),
    Stage("box head", "box_head"),
    Stage("box post-processing", "box_head", "select"),
    Stage("mask RoI features", "mask_head.pooler"),
    Stage("mask head", "mask_head"),
    Stage("keypoint RoI features", "keypoint_head.pooler"),
    Stage("keypoint head", "keypoint_head"),
    Stage("keypoint head", "keypoint_head", "decode"),
)

STAGE_NAMES = (*dict.fromkeys(stage.name for stage in _STAGES), PASTE)
"""Every stage that a network may have, in the order of the computation."""


def stages_of(network: MaskRCNN) -> list[Stage]:
    """The stages of this network, in the order of the computation; `PASTE`, which follows it, is not among them."""
    absent = {
        "FPN": not isinstance(network.backbone, FPN),
        "shared RoI layers": isinstance(network.roi_layers, nn.Identity),
    }
    return [stage for stage in _STAGES if not absent.get(stage.name, False)]


def stage_names(network: MaskRCNN) -> list[str]:
    """Each name once."""
    return [*dict.fromkeys(stage.name for stage in stages_of(network)), PASTE]
