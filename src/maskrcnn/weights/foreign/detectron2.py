"""detectron2's detectors, and the ImageNet backbones it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from maskrcnn.config import Config
from maskrcnn.presets import preset
from maskrcnn.weights.foreign.detectron2_config import not_said, of_backbone, pixel_style, with_settings
from maskrcnn.weights.foreign.files import ForeignFile
from maskrcnn.weights.foreign.imported import Imported, ImportHints, backbone_alone, first_few, whole_model
from maskrcnn.weights.foreign.layout import Layout
from maskrcnn.weights.foreign.pixels import STYLES, likely_style


def from_detectron2(tensors: Mapping[str, Tensor], file: ForeignFile, hints: ImportHints) -> Imported:
    """A model with detectron2's conventions from weights in our names; `file` holds them in its own."""
    layout = Layout(tensors)
    config = _as_published(layout)
    style = likely_style(config, file.tensors, file.author) if hints.style == "auto" else hints.style
    settings = hints.settings or {}
    pixels = pixel_style(settings, STYLES[style])
    config = with_settings(pixels.apply(config), of_backbone(settings) if layout.is_backbone else settings)
    remarks = _remarks(config, hints, f"{style}, as in detectron2's own models of this kind: {pixels}")
    tensors = pixels.to_rgb(tensors)
    if layout.is_backbone:
        return backbone_alone(config, tensors, remarks)
    return whole_model(config, hints.categories_of(layout), tensors, remarks)


def _remarks(config: Config, hints: ImportHints, style: str) -> list[str]:
    """What had to be assumed."""
    if hints.settings is None:
        return [f"assumed the style {style}"] if hints.style == "auto" else []
    missing = first_few("not in config.yaml", not_said(config, hints.settings))
    return [f"{missing}; taken to be as in detectron2's own models of this kind"] if missing else []


def _as_published(layout: Layout) -> Config:
    """The settings that a model of this structure has in detectron2's own collection."""
    config = layout.config(preset("detectron2"))
    backbone, rpn, box_head, mask_head = config.backbone, config.rpn, config.box_head, config.mask_head
    image = config.input
    if backbone.features != "fpn":
        rpn = replace(rpn, pre_nms_top_k_train=12_000, pre_nms_top_k_test=6000, post_nms_top_k_train=2000)
        image = replace(image, size_divisor=1)
    if backbone.features == "c4":
        box_head, mask_head = replace(box_head, pooled_size=14), replace(mask_head, pooled_size=14)
    if backbone.features == "c5":
        config = replace(config, resnet=replace(config.resnet, stage5_stride=1, stage5_dilation=2))
    if config.keypoint_head.enabled:
        rpn, box_head = replace(rpn, post_nms_top_k_train=1500), replace(box_head, smooth_l1_beta=0.5)
    return replace(config, input=image, rpn=rpn, box_head=box_head, mask_head=mask_head)
