"""The one place where named choices become modules and parts are wired into a model."""

from __future__ import annotations

import torch

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.anchors import Anchors
from maskrcnn.models.backbones.resnet import RESNETS, ResNet
from maskrcnn.models.box_head import BoxHead, BoxTrunk
from maskrcnn.models.fpn import FPN
from maskrcnn.models.mask_head import MaskHead
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.preprocess import Preprocess
from maskrcnn.models.rpn import RPN, ProposalLimits, RPNHead
from maskrcnn.models.sampling import RoISampler
from maskrcnn.ops.roi_align import RoIAlignOptions

_POOLED_LEVELS = 4
"""The heads read P2..P5; P6 is for the RPN alone."""


def build_model(config: Config, num_classes: int) -> MaskRCNN:
    """The model of `config` for K classes, with fresh random weights, channels-last in memory.

    Raises:
        UserError: for an unknown backbone name.
    """
    backbone = build_backbone(config)
    model = MaskRCNN(
        preprocess=build_preprocess(config),
        backbone=backbone,
        rpn=build_rpn(config, backbone),
        roi_sampler=RoISampler(
            num_classes,
            samples_per_image=config.roi.samples_per_image,
            positive_fraction=config.roi.positive_fraction,
            positive_iou=config.roi.positive_iou,
            crowd_overlap=config.roi.crowd_overlap,
        ),
        box_head=build_box_head(config, backbone, num_classes),
        mask_head=build_mask_head(config, backbone, num_classes) if config.mask_head.enabled else None,
    )
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def build_preprocess(config: Config) -> Preprocess:
    """The way from a picture to the network's input."""
    settings = config.input
    return Preprocess(
        min_size=settings.min_size,
        max_size=settings.max_size,
        shrink=settings.shrink,
        antialias=settings.antialias,
        mean=settings.mean,
        std=settings.std,
        size_divisor=settings.size_divisor,
    )


def build_backbone(config: Config) -> FPN:
    """ResNet or ResNeXt under a feature pyramid."""
    settings = config.backbone
    if settings.name not in RESNETS:
        raise UserError(f"backbone.name: expected one of {', '.join(RESNETS)}; got {settings.name!r}")
    bottom_up = ResNet(
        RESNETS[settings.name],
        norm=settings.norm,
        stem_channels=settings.stem_channels,
        stride_in_1x1=settings.stride_in_1x1,
        frozen_stages=settings.frozen_stages,
    )
    return FPN(bottom_up, config.fpn.channels, config.fpn.norm)


def build_rpn(config: Config, backbone: FPN) -> RPN:
    """Anchors, head and selection of proposals."""
    settings = config.rpn
    anchors = Anchors(config.anchors.sizes, config.anchors.ratios, backbone.strides)
    return RPN(
        RPNHead(backbone.channels, anchors.per_cell, settings.num_convs),
        anchors,
        train_limits=ProposalLimits(settings.pre_nms_top_k_train, settings.post_nms_top_k_train),
        test_limits=ProposalLimits(settings.pre_nms_top_k_test, settings.post_nms_top_k_test),
        nms_threshold=settings.nms_threshold,
        min_size=settings.min_size,
        positive_iou=settings.positive_iou,
        negative_iou=settings.negative_iou,
        samples_per_image=settings.samples_per_image,
        positive_fraction=settings.positive_fraction,
        smooth_l1_beta=settings.smooth_l1_beta,
        crowd_overlap=config.roi.crowd_overlap,
    )


def build_pooler(config: Config, backbone: FPN, output_size: int) -> RoIPooler:
    """RoIAlign over P2..P5."""
    options = RoIAlignOptions(output_size, sampling_ratio=config.roi.sampling_ratio, aligned=config.roi.aligned)
    return RoIPooler(backbone.strides[:_POOLED_LEVELS], options)


def build_box_head(config: Config, backbone: FPN, num_classes: int) -> BoxHead:
    """The class and box branch."""
    settings = config.box_head
    trunk = BoxTrunk(
        backbone.channels,
        settings.pooled_size,
        num_convs=settings.num_convs,
        conv_channels=settings.conv_channels,
        num_fcs=settings.num_fcs,
        fc_channels=settings.fc_channels,
        norm=settings.norm,
    )
    return BoxHead(
        build_pooler(config, backbone, settings.pooled_size),
        trunk,
        num_classes,
        class_agnostic=settings.class_agnostic,
        smooth_l1_beta=settings.smooth_l1_beta,
        score_threshold=settings.score_threshold,
        nms_threshold=settings.nms_threshold,
        max_detections=settings.max_detections,
    )


def build_mask_head(config: Config, backbone: FPN, num_classes: int) -> MaskHead:
    """The mask branch."""
    settings = config.mask_head
    return MaskHead(
        build_pooler(config, backbone, settings.pooled_size),
        backbone.channels,
        num_classes,
        num_convs=settings.num_convs,
        channels=settings.channels,
        norm=settings.norm,
        class_agnostic=settings.class_agnostic,
    )
