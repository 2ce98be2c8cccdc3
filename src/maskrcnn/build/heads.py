"""The RPN and the branches, by their sections of the settings."""

from __future__ import annotations

from collections.abc import Callable

from maskrcnn.build.backbones import Trunk
from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.anchors import Anchors
from maskrcnn.models.box_head import BoxHead, BoxTrunk
from maskrcnn.models.branches import DenseBranch, RoIBranch
from maskrcnn.models.keypoint_head import KeypointHead
from maskrcnn.models.mask_head import FCNMaskHead, MaskHead, MLPMaskHead
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.rpn import RPN, ProposalLimits, RPNHead
from maskrcnn.models.sampling import RoISampler
from maskrcnn.models.semantic_head import FCNHead, PyramidHead, SemanticHead
from maskrcnn.ops.roi_align import roi_align
from maskrcnn.ops.roi_options import RoIAlignOptions, RoIOperator
from maskrcnn.ops.roi_pool import roi_pool
from maskrcnn.ops.roi_warp import roi_warp
from maskrcnn.structures.semantic import MOST_CLASSES

_COCO_KEYPOINTS = 17

_ROI_OPERATORS: dict[str, RoIOperator] = {"align": roi_align, "pool": roi_pool, "warp": roi_warp}


def build_rpn(config: Config, trunk: Trunk) -> RPN:
    """Anchors, head and selection of proposals."""
    settings = config.rpn
    anchors = Anchors(
        config.anchors.sizes,
        config.anchors.ratios,
        trunk.backbone.strides,
        by_size=config.anchors.order == "size",
        rounded=config.anchors.rounded,
        stride_from_size=config.anchors.stride_from_size,
    )
    return RPN(
        RPNHead(trunk.channels[0], anchors.per_cell, settings.num_convs),
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
        score_threshold=settings.score_threshold,
        divide_by_sampled=settings.divide_by == "sampled",
        objectness_weight=settings.objectness_weight,
        box_weight=settings.box_weight,
    )


def build_pooler(config: Config, trunk: Trunk, output_size: int | tuple[int, int]) -> RoIPooler:
    """RoIAlign, or what it is compared with, over the maps that the heads read."""
    settings = config.roi
    options = RoIAlignOptions(
        output_size,
        sampling_ratio=settings.sampling_ratio,
        aligned=settings.aligned,
        reduce=settings.reduce,
        rounding=settings.pool_rounding,
    )
    return RoIPooler(trunk.strides, options, settings.level_lift, _ROI_OPERATORS[settings.operator])


def build_box_head(config: Config, trunk: Trunk, num_classes: int) -> BoxHead:
    """The class and box branch."""
    settings = config.box_head
    layers = BoxTrunk(
        trunk.roi_channels,
        trunk.roi_size(settings.pooled_size),
        num_convs=settings.num_convs,
        conv_channels=settings.conv_channels,
        num_fcs=settings.num_fcs,
        fc_channels=settings.fc_channels,
        norm=settings.norm,
    )
    return BoxHead(
        build_pooler(config, trunk, settings.pooled_size),
        layers,
        num_classes,
        RoISampler(
            num_classes,
            samples_per_image=config.roi.samples_per_image,
            positive_fraction=config.roi.positive_fraction,
            positive_iou=config.roi.positive_iou,
            crowd_overlap=config.roi.crowd_overlap,
        ),
        class_agnostic=settings.class_agnostic,
        smooth_l1_beta=settings.smooth_l1_beta,
        score_threshold=settings.score_threshold,
        min_size=settings.min_size,
        nms_threshold=settings.nms_threshold,
        max_detections=settings.max_detections,
        classification_weight=settings.classification_weight,
        box_weight=settings.box_weight,
    )


def build_mask_head(config: Config, trunk: Trunk, num_classes: int, num_keypoints: int | None) -> MaskHead:
    """The mask branch."""
    settings = config.mask_head
    pooler = build_pooler(config, trunk, settings.pooled_size)
    options = {
        "loss_weight": settings.loss_weight,
        "class_agnostic": settings.class_agnostic,
        "competing": settings.loss == "softmax",
        "target_aligned": settings.target_aligned,
        "target_binary": settings.target_binary,
    }
    if settings.kind == "mlp":
        roi_size = trunk.roi_size(settings.pooled_size)
        return MLPMaskHead(
            pooler, trunk.roi_channels, num_classes, roi_size=roi_size, fc_channels=settings.fc_channels, **options
        )
    return FCNMaskHead(
        pooler,
        trunk.roi_channels,
        num_classes,
        num_convs=settings.num_convs,
        channels=settings.channels,
        norm=settings.norm,
        **options,
    )


def build_keypoint_head(config: Config, trunk: Trunk, num_classes: int, num_keypoints: int | None) -> KeypointHead:
    """The keypoint branch."""
    settings = config.keypoint_head
    return KeypointHead(
        build_pooler(config, trunk, settings.pooled_size),
        trunk.roi_channels,
        _COCO_KEYPOINTS if num_keypoints is None else num_keypoints,
        num_convs=settings.num_convs,
        channels=settings.channels,
        rule=settings.rule,
        shift=settings.shift,
        loss_weight=settings.loss_weight,
    )


BuildRoIBranch = Callable[[Config, Trunk, int, int | None], RoIBranch]
"""From the settings, what lies before the branch, K, and P (None: not told by the data)."""

ROI_BRANCHES: dict[str, BuildRoIBranch] = {
    "mask_head": build_mask_head,
    "keypoint_head": build_keypoint_head,
}
"""By their sections of the settings, whose names are those of the branches; in the order of the computation."""


def build_semantic_head(config: Config, trunk: Trunk, num_classes: int) -> SemanticHead:
    """The branch that tells the class of every pixel, from a pyramid or from the backbone's own maps.

    Raises:
        UserError: more classes than a label map can hold.
    """
    if num_classes > MOST_CLASSES:
        raise UserError(f"semantic_head: expected at most {MOST_CLASSES} classes, got {num_classes}")
    settings = config.semantic_head
    if config.backbone.features == "fpn":
        return PyramidHead(
            trunk.roi_channels,
            trunk.strides,
            num_classes,
            channels=settings.channels,
            loss_weight=settings.loss_weight,
        )
    return FCNHead(
        trunk.channels,
        trunk.backbone.strides,
        num_classes,
        finest=settings.stride,
        loss_weight=settings.loss_weight,
    )


DENSE_BRANCHES: dict[str, Callable[[Config, Trunk, int], DenseBranch]] = {"semantic_head": build_semantic_head}
"""The same, from the settings, what lies before the branch, and K."""
