"""Small networks that learn from random weights on a desktop computer."""

from __future__ import annotations

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
from maskrcnn.presets.family import keypoints

_LITE_MEAN, _LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3
"""EfficientNet-Lite saw (x - 127) / 128 of each byte x."""


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


def light() -> Config:
    """Photographs, fast: EfficientNet-Lite0 with the ImageNet weights that come with the package, narrow heads."""
    base = small()
    return replace(
        base,
        input=InputConfig(min_size=512, max_size=768, mean=_LITE_MEAN, std=_LITE_STD),
        backbone=BackboneConfig(name="efficientnet_lite0", frozen_stages=2),
        resnet=ResNetConfig(),
        anchors=AnchorConfig(sizes=((20,), (40,), (80,), (160,), (320,))),
        rpn=replace(base.rpn, post_nms_top_k_test=300),
        optimizer=replace(base.optimizer, layer_decay=0.7),
    )


def facades() -> Config:
    """Street photographs of buildings, ten classes, 640 x 640 pixels.

    Whole pictures at little more than half their size: a facade fills its picture, and no crop would show one.
    """
    base = light()
    return replace(
        base,
        input=replace(base.input, min_size=384),
        anchors=AnchorConfig(sizes=((16,), (32,), (64,), (128,), (256,))),
        box_head=replace(base.box_head, max_detections=200),
        augment=Augmentation(scale_range=(0.7, 1.2), brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05),
        schedule=replace(base.schedule, steps=2400),
        train=replace(base.train, evaluate_every=1200),
        evaluation=EvaluationConfig(max_detections=200),
    )


def tiny() -> Config:
    """For tests, and for overfitting a handful of images."""
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
