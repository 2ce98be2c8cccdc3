"""The systems of the papers, from R-CNN to Mask R-CNN with keypoints or stuff (`docs/family.md`).

Each is the one that came after it with something left out, and nothing else: all train as Mask R-CNN does.
"""

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
    KeypointHeadConfig,
    MaskHeadConfig,
    ResNetConfig,
    RPNConfig,
    ScheduleConfig,
    SemanticHeadConfig,
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


def faster_r_cnn() -> Config:
    """Faster R-CNN with RoIAlign: `c4` without the mask branch (section 4.3, "Faster R-CNN, RoIAlign")."""
    base = c4()
    return replace(base, mask_head=replace(base.mask_head, enabled=False))


def faster_r_cnn_pool() -> Config:
    """Faster R-CNN (Ren et al. 2015): `faster_r_cnn` with RoIPool, which rounds regions to whole cells."""
    base = faster_r_cnn()
    return replace(base, roi=replace(base.roi, operator="pool"))


def rpn() -> Config:
    """The region proposal network alone: `faster_r_cnn` without its box head; it finds objects of any class."""
    base = faster_r_cnn()
    return replace(
        base,
        rpn=replace(base.rpn, post_nms_top_k_test=2000),  # as many as Fast R-CNN looks at
        box_head=replace(base.box_head, enabled=False),
        evaluation=EvaluationConfig(max_detections=1000),
    )


def fast_r_cnn() -> Config:
    """Fast R-CNN (Girshick 2015): `faster_r_cnn_pool` without the RPN; proposals are given."""
    base = faster_r_cnn_pool()
    return replace(base, rpn=replace(base.rpn, enabled=False))


def r_cnn() -> Config:
    """R-CNN (Girshick et al. 2014): `fast_r_cnn` without shared features; the network runs on every region's pixels."""
    base = fast_r_cnn()
    return replace(
        base,
        backbone=replace(base.backbone, features="image"),
        resnet=ResNetConfig(),
        roi=replace(base.roi, operator="align"),  # regions are warped to one size, whatever their shape
        box_head=replace(base.box_head, pooled_size=224),  # what the network was trained on for ImageNet
    )


def c5() -> Config:
    """Mask R-CNN with ResNet-50-C5: one map at stride 32, the heads of the pyramid (table 2d)."""
    one_level, base = c4(), paper()
    return replace(base, backbone=replace(base.backbone, features="c5"), anchors=one_level.anchors, rpn=one_level.rpn)


def dc5() -> Config:
    """Mask R-CNN with dilated C5: `c5` whose stage 5 stays at stride 16, its convolutions spread out by two."""
    return replace(c5(), resnet=ResNetConfig(stage5_stride=1, stage5_dilation=2))


def resnext() -> Config:
    """Mask R-CNN with ResNeXt-101-FPN: `paper` on the strongest backbone of its tables, 8 images a step."""
    base = paper()
    return replace(
        base, backbone=replace(base.backbone, name="resnext101_32x8d"), train=TrainConfig(batch_size=1, accumulate=8)
    )


def keypoints() -> Config:
    """The keypoints of COCO's persons, and their boxes (section 5): short sides 640 to 800, 90k steps."""
    base = paper()
    return replace(
        base,
        data=DataConfig(train_annotations="person_keypoints_train.json", val_annotations="person_keypoints_val.json"),
        augment=Augmentation(min_sizes=TRAIN_SCALES),
        mask_head=MaskHeadConfig(enabled=False),
        keypoint_head=KeypointHeadConfig(enabled=True),
        schedule=replace(base.schedule, steps=90_000, milestones=(2 / 3, 8 / 9)),
    )


def joint() -> Config:
    """Boxes, masks and keypoints of COCO's persons by one network (table 5): `keypoints` with the mask branch."""
    return replace(keypoints(), mask_head=paper().mask_head)


def panoptic() -> Config:
    """Panoptic FPN (Kirillov et al. 2019): `paper` and, on the same pyramid, a branch for the class of every pixel."""
    return replace(paper(), semantic_head=SemanticHeadConfig(enabled=True, loss_weight=0.5))
