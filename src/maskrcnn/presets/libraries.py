"""As other libraries set their numbers, so that their weights give their results."""

from __future__ import annotations

from dataclasses import replace

from maskrcnn.config import (
    AnchorConfig,
    Augmentation,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    FPNConfig,
    InputConfig,
    KeypointHeadConfig,
    MaskHeadConfig,
    OptimizerConfig,
    ResNetConfig,
    RoIConfig,
    RPNConfig,
    ScheduleConfig,
    TrainConfig,
)
from maskrcnn.presets.family import TRAIN_SCALES

_MSRA_MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
"""The networks of He et al. saw bytes, less this mean and not divided by any spread."""

_LSJ_SIDE = 1024


def torchvision() -> Config:
    """As torchvision's `maskrcnn_resnet50_fpn`, in all that changes a number; trained at one scale, as there."""
    return Config(
        input=InputConfig(antialias=False),
        backbone=BackboneConfig(frozen_stages=2),
        anchors=AnchorConfig(rounded=True, stride_from_size=True),
        rpn=RPNConfig(pre_nms_top_k_test=1000, post_nms_top_k_test=1000),
        roi=RoIConfig(aligned=False),
        box_head=BoxHeadConfig(min_size=0.01),
        mask_head=MaskHeadConfig(target_aligned=False, paste="torchvision"),
        keypoint_head=KeypointHeadConfig(rule="torchvision"),
        schedule=ScheduleConfig(steps=90_000, milestones=(16 / 26, 22 / 26)),
        train=TrainConfig(batch_size=2, accumulate=8),
    )


def torchvision_v2() -> Config:
    """As torchvision's `maskrcnn_resnet50_fpn_v2` (after Li et al. 2021): norms everywhere, deeper RPN and box head."""
    base = torchvision()
    return replace(
        base,
        backbone=replace(base.backbone, norm="bn", frozen_stages=0),
        fpn=FPNConfig(norm="bn"),
        rpn=replace(base.rpn, num_convs=2),
        box_head=replace(base.box_head, num_convs=4, num_fcs=1, norm="bn"),
        mask_head=replace(base.mask_head, norm="bn"),
    )


def detectron2() -> Config:
    """As detectron2's `mask_rcnn_R_50_FPN` with its MSRA backbone, in all that changes a number.

    It trains at short sides of 640 to 800 pixels.
    """
    return Config(
        input=InputConfig(rounding="nearest", mean=_MSRA_MEAN, std=(1 / 255, 1 / 255, 1 / 255)),
        backbone=BackboneConfig(frozen_stages=2),
        resnet=ResNetConfig(stride_in_1x1=True),
        anchors=AnchorConfig(order="size"),
        rpn=RPNConfig(min_size=0.0, post_nms_top_k_train=1000, smooth_l1_beta=0.0, divide_by="samples_per_image"),
        roi=RoIConfig(sampling_ratio=0, level_lift=0.0),
        box_head=BoxHeadConfig(smooth_l1_beta=0.0),
        mask_head=MaskHeadConfig(target_binary=True),
        augment=Augmentation(min_sizes=TRAIN_SCALES),
        schedule=ScheduleConfig(steps=90_000),
        train=TrainConfig(batch_size=2, accumulate=8),
    )


def lsj() -> Config:
    """As detectron2's `mask_rcnn_R_50_FPN_100ep_LSJ`: from random weights, for very long, large-scale jitter.

    64 images a step for 100 passes over COCO (200 and 400 passes reach more), synchronised batch norm everywhere.
    Pictures are predicted at 1024 pixels too.
    """
    base = detectron2()
    return replace(
        base,
        input=replace(base.input, min_size=_LSJ_SIDE, max_size=_LSJ_SIDE),
        backbone=replace(base.backbone, norm="sync_bn", frozen_stages=0),
        fpn=FPNConfig(norm="sync_bn"),
        rpn=replace(base.rpn, num_convs=2),
        box_head=replace(base.box_head, num_convs=4, num_fcs=1, norm="sync_bn"),
        mask_head=replace(base.mask_head, norm="sync_bn"),
        augment=Augmentation(scale_range=(0.1, 2.0), crop_size=_LSJ_SIDE, pad_crops=True),
        optimizer=OptimizerConfig(lr=0.1, reference_batch_size=64, weight_decay=4e-5, bias_weight_decay=4e-5),
        schedule=ScheduleConfig(steps=184_375, milestones=(8 / 9, 26 / 27), warmup_steps=500, warmup_factor=0.067),
        train=TrainConfig(batch_size=8, accumulate=8, amp=True),
    )


def copy_paste() -> Config:
    """Simple copy-paste (Ghiasi et al. 2021): `lsj`, with objects of another image on every one."""
    base = lsj()
    return replace(base, augment=replace(base.augment, copy_paste=1.0))
