"""torchvision's detectors and classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from maskrcnn.presets import preset
from maskrcnn.structures.keypoints import PIXEL_CENTRE
from maskrcnn.weights.foreign.classes import COCO_SLOTS, background_last
from maskrcnn.weights.foreign.imported import Imported, ImportHints, backbone_alone, whole_model
from maskrcnn.weights.foreign.layout import Layout

_PERSON = (1, 17)
"""Classes and keypoints of the published keypoint model."""


def from_torchvision(tensors: Mapping[str, Tensor], hints: ImportHints) -> Imported:
    """A model with torchvision's conventions from weights in our names."""
    layout = Layout(tensors)
    second_version = len(layout.children("rpn.head.convs")) > 1
    config = layout.config(preset("torchvision_v2" if second_version else "torchvision"))
    if layout.is_backbone:
        return backbone_alone(config, tensors, ())
    if config.keypoint_head.enabled:  # its points are COCO's pixel numbers, in training as in results
        config = replace(config, keypoint_head=replace(config.keypoint_head, shift=PIXEL_CENTRE))
    remarks = []
    if config.backbone.norm == "frozen_bn" and _may_be_published(layout):
        config = replace(config, resnet=replace(config.resnet, norm_eps=0.0))
        remarks.append("assumed the weights published with torchvision, for which resnet.norm_eps is 0")
    categories = hints.categories_of(layout)
    return whole_model(config, categories, background_last(tensors, len(categories)), remarks)


def _may_be_published(layout: Layout) -> bool:
    """Only for its own COCO weights of the first version does torchvision set epsilon to 0."""
    return layout.num_classes == COCO_SLOTS or (layout.num_classes, layout.num_keypoints) == _PERSON
