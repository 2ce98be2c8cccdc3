"""The systems of the papers, from R-CNN to Mask R-CNN with keypoints, and what each adds to the one before."""

from __future__ import annotations

from dataclasses import replace

from maskrcnn.config import (
    AnchorConfig,
    Augmentation,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    DataConfig,
    KeypointHeadConfig,
    MaskHeadConfig,
    ResNetConfig,
    RPNConfig,
    ScheduleConfig,
    TrainConfig,
)

TRAIN_SCALES = (640, 672, 704, 736, 768, 800)
"""Short sides to train at, one drawn for each image; predictions are made at the last."""


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
        augment=Augmentation(min_sizes=TRAIN_SCALES),
        mask_head=MaskHeadConfig(enabled=False),
        keypoint_head=KeypointHeadConfig(enabled=True),
        schedule=replace(base.schedule, steps=90_000, milestones=(2 / 3, 8 / 9)),
    )
