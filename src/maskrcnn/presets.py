"""Presets: functions that return a complete `Config`. A variant calls another preset and replaces what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from maskrcnn.config import (
    AnchorConfig,
    Augmentation,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    DataConfig,
    EvaluationConfig,
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
from maskrcnn.errors import UserError
from maskrcnn.settings import nearest


def paper() -> Config:
    """Mask R-CNN with ResNet-50-FPN as in the paper (section 3.1): 16 images a step, 800 pixels, 160k steps."""
    return Config(
        backbone=BackboneConfig(frozen_stages=2),
        rpn=RPNConfig(min_size=0.0),
        box_head=BoxHeadConfig(smooth_l1_beta=1.0),
        schedule=ScheduleConfig(steps=160_000, milestones=(0.75,), warmup_steps=500, warmup_factor=1 / 3),
        train=TrainConfig(batch_size=2, accumulate=8),
    )


def c4() -> Config:
    """Mask R-CNN with ResNet-50-C4 as in the paper: stage 5 is the head (section 3, "Network Architecture")."""
    base = paper()
    return replace(
        base,
        backbone=replace(base.backbone, features="c4"),
        resnet=ResNetConfig(stage5_stride=1),
        anchors=AnchorConfig(sizes=((32, 64, 128, 256, 512),)),
        rpn=replace(base.rpn, pre_nms_top_k_train=12_000, pre_nms_top_k_test=6000, post_nms_top_k_test=300),
        roi=replace(base.roi, samples_per_image=64),
        box_head=replace(base.box_head, num_fcs=0),
        mask_head=replace(base.mask_head, pooled_size=7, num_convs=0),
    )


def keypoints() -> Config:
    """The keypoints of COCO's persons, and their boxes (section 5): short sides 640 to 800, 90k steps.

    With masks as well (table 5): `mask_head.enabled=true`.
    """
    base = paper()
    return replace(
        base,
        data=DataConfig(train_annotations="person_keypoints_train.json", val_annotations="person_keypoints_val.json"),
        augment=Augmentation(min_sizes=_SCALES),
        mask_head=MaskHeadConfig(enabled=False),
        keypoint_head=KeypointHeadConfig(enabled=True),
        schedule=replace(base.schedule, steps=90_000, milestones=(2 / 3, 8 / 9)),
    )


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
        augment=Augmentation(min_sizes=_SCALES),
        schedule=ScheduleConfig(steps=90_000),
        train=TrainConfig(batch_size=2, accumulate=8),
    )


_SCALES = (640, 672, 704, 736, 768, 800)
"""Short sides to train at, one drawn for each image; predictions are made at the last."""

_MSRA_MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
"""The networks of He et al. saw bytes, less this mean and not divided by any spread."""


def small() -> Config:
    """For training from random weights on a desktop computer: narrow, batch norm, AdamW, cosine schedule."""
    return Config(
        backbone=BackboneConfig(name="resnet18", norm="bn"),
        resnet=ResNetConfig(stem_channels=40),
        fpn=FPNConfig(channels=64),
        rpn=RPNConfig(pre_nms_top_k_train=1000, post_nms_top_k_train=500, smooth_l1_beta=0.0),
        roi=RoIConfig(samples_per_image=128),
        box_head=BoxHeadConfig(fc_channels=256, smooth_l1_beta=0.0),
        mask_head=MaskHeadConfig(channels=64),
        optimizer=OptimizerConfig(
            name="adamw", lr=6e-4, reference_batch_size=4, weight_decay=0.05, bias_weight_decay=0.0, clip_norm=10
        ),
        schedule=ScheduleConfig(steps=3000, name="cosine", warmup_steps=100),
        train=TrainConfig(batch_size=4, ema_decay=0.998, evaluate_every=1000, checkpoint_every=200),
    )


def nuclei() -> Config:
    """Many small objects of one class: cell nuclei in microscope images (the bundled model)."""
    base = small()
    return replace(
        base,
        data=DataConfig(balance_by="modality"),  # where the images say: most are fluorescence, few stained tissue
        input=InputConfig(min_size=640, max_size=1600, shrink=False),
        anchors=AnchorConfig(sizes=((12,), (24,), (48,), (96,), (192,))),
        rpn=replace(base.rpn, pre_nms_top_k_test=2000, post_nms_top_k_test=2000, nms_threshold=0.75),
        box_head=replace(base.box_head, nms_threshold=0.3, max_detections=500),
        mask_head=replace(base.mask_head, max_overlap=0.3),
        augment=Augmentation(
            crop_size=256,
            scale_range=(0.5, 1.2),
            vertical_flip=0.5,
            quarter_turns=True,
            brightness=0.3,
            contrast=0.3,
            saturation=0.3,
            hue=0.05,
        ),
        schedule=replace(base.schedule, steps=12000),
        train=replace(base.train, ema_decay=0.999, evaluate_every=3000),
        evaluation=EvaluationConfig(max_detections=500),
    )


def facades() -> Config:
    """Street photographs of buildings, ten classes, 640 x 640 pixels.

    Whole pictures at little more than half their size: a facade fills its picture, and no crop would show one.
    """
    base = small()
    return replace(
        base,
        input=InputConfig(min_size=384, max_size=768),
        anchors=AnchorConfig(sizes=((16,), (32,), (64,), (128,), (256,))),
        box_head=replace(base.box_head, max_detections=200),
        augment=Augmentation(scale_range=(0.7, 1.2), brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05),
        schedule=replace(base.schedule, steps=2400),
        train=replace(base.train, evaluate_every=1200),
        evaluation=EvaluationConfig(max_detections=200),
    )


def tiny() -> Config:
    """For tests, and for learning a handful of images by heart."""
    base = small()
    return replace(
        base,
        input=InputConfig(min_size=256, max_size=512),
        resnet=ResNetConfig(stem_channels=16),
        fpn=FPNConfig(channels=32),
        rpn=replace(base.rpn, pre_nms_top_k_train=500, post_nms_top_k_train=200, post_nms_top_k_test=200),
        roi=RoIConfig(samples_per_image=64),
        box_head=replace(base.box_head, fc_channels=128),
        mask_head=MaskHeadConfig(channels=32),
        augment=Augmentation(horizontal_flip=0.0),
        optimizer=replace(base.optimizer, lr=1e-3, weight_decay=0.0),
        schedule=ScheduleConfig(steps=200, name="cosine", warmup_steps=10),
        train=TrainConfig(batch_size=4, log_every=10, checkpoint_every=50),
    )


def keypoints_tiny() -> Config:
    """As `tiny`, for keypoints instead of masks."""
    base = tiny()
    return replace(
        base,
        data=keypoints().data,
        mask_head=MaskHeadConfig(enabled=False),
        keypoint_head=KeypointHeadConfig(enabled=True, num_convs=4, channels=64),
    )


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
