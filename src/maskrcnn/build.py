"""The one place where named choices become modules and parts are wired into a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.anchors import Anchors
from maskrcnn.models.backbones.backbone import Backbone, StagedBackbone
from maskrcnn.models.backbones.resnet import RESNETS, ResNet, resnet_layout
from maskrcnn.models.backbones.single import ImageItself, LastMap, SingleLevel
from maskrcnn.models.box_head import BoxHead, BoxTrunk
from maskrcnn.models.fpn import FPN
from maskrcnn.models.keypoint_head import KeypointHead
from maskrcnn.models.mask_head import FCNMaskHead, MaskHead, MLPMaskHead
from maskrcnn.models.mask_rcnn import MaskRCNN
from maskrcnn.models.pooling import RoIPooler
from maskrcnn.models.preprocess import Preprocess
from maskrcnn.models.rpn import RPN, ProposalLimits, RPNHead
from maskrcnn.models.sampling import RoISampler
from maskrcnn.ops.roi_align import roi_align
from maskrcnn.ops.roi_options import RoIAlignOptions, RoIOperator
from maskrcnn.ops.roi_pool import roi_pool
from maskrcnn.ops.roi_warp import roi_warp
from maskrcnn.settings import differing_settings, setting

_POOLED_LEVELS = 4
"""The heads read P2..P5; P6 is for the RPN alone."""

_COCO_KEYPOINTS = 17

_ROI_OPERATORS: dict[str, RoIOperator] = {"align": roi_align, "pool": roi_pool, "warp": roi_warp}


@dataclass(frozen=True)
class Trunk:
    """What lies before the heads.

    Attributes:
        backbone: pixels -> feature maps.
        strides: of the maps that the heads read.
        roi_layers: what the heads share behind RoIAlign, or None.
        roi_channels: channels of what a head sees.
        roi_shrink: how many times smaller its side is than RoIAlign's output.
    """

    backbone: FPN | SingleLevel | ImageItself
    strides: tuple[int, ...]
    roi_layers: nn.Module | None
    roi_channels: int
    roi_shrink: int = 1


def build_model(config: Config, num_classes: int, num_keypoints: int | None = None) -> MaskRCNN:
    """The model of `config` for K classes, with fresh random weights, channels-last in memory.

    Args:
        config: the settings.
        num_classes: K.
        num_keypoints: P, if there is a keypoint branch; None: the 17 of COCO's persons.

    Raises:
        UserError: for an unknown backbone name.
    """
    trunk = build_trunk(config)
    model = MaskRCNN(
        preprocess=build_preprocess(config),
        backbone=trunk.backbone,
        rpn=build_rpn(config, trunk.backbone) if config.rpn.enabled else None,
        roi_sampler=RoISampler(
            num_classes,
            samples_per_image=config.roi.samples_per_image,
            positive_fraction=config.roi.positive_fraction,
            positive_iou=config.roi.positive_iou,
            crowd_overlap=config.roi.crowd_overlap,
        ),
        box_head=build_box_head(config, trunk, num_classes) if config.box_head.enabled else None,
        mask_head=build_mask_head(config, trunk, num_classes) if config.mask_head.enabled else None,
        keypoint_head=build_keypoint_head(config, trunk, num_keypoints) if config.keypoint_head.enabled else None,
        roi_layers=trunk.roi_layers,
    )
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def build_model_without_memory(config: Config, num_classes: int, num_keypoints: int | None = None) -> MaskRCNN:
    """As `build_model`, with weights that are mere shapes (device "meta"): to be given weights, or to be counted."""
    with torch.device("meta"), _NothingDrawn():
        return build_model(config, num_classes, num_keypoints)


class _NothingDrawn(TorchFunctionMode):
    """Weights stay as they are: the first random number on device "meta" imports a compiler, 100 MiB of it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        if func in (nn.init.normal_, nn.init.uniform_, nn.init.kaiming_normal_, nn.init.kaiming_uniform_):
            return kwargs["tensor"]
        return func(*args, **kwargs)


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
        round_to_nearest=settings.rounding == "nearest",
    )


def build_trunk(config: Config) -> Trunk:
    """The backbone, and which of its maps the heads read (section 3, "Network Architecture")."""
    backbone, features = build_backbone(config), config.backbone.features
    if features == "fpn":
        fpn = FPN(backbone, config.fpn.channels, config.fpn.norm)
        return Trunk(fpn, fpn.strides[:_POOLED_LEVELS], None, fpn.channels)
    channels, strides = backbone.channels[-1], backbone.strides
    if features == "image":
        pixels = ImageItself(config.input.channels)
        return Trunk(pixels, pixels.strides, LastMap(backbone), channels, roi_shrink=strides[-1])
    if features == "c4":
        stage5 = _staged(backbone, "backbone.features", features).detach_last_stage()
        return Trunk(SingleLevel(backbone), strides[-2:-1], stage5, channels, roi_shrink=strides[-1] // strides[-2])
    return Trunk(SingleLevel(backbone), strides[-1:], None, channels)


@dataclass(frozen=True)
class BackboneFamily:
    """Backbones that one function builds.

    Attributes:
        build: a new one, with random weights.
        settings: what it reads besides the name and `input.channels`: settings and whole sections.
    """

    build: Callable[[Config], Backbone]
    settings: tuple[str, ...] = ()


def build_backbone(config: Config) -> Backbone:
    """The bottom-up network of the family that `backbone.name` belongs to.

    Raises:
        UserError: no such name, or a setting that this backbone does not have.
    """
    name = config.backbone.name
    family = next((family for pattern, family in BACKBONES.items() if fnmatchcase(name, pattern)), None)
    if family is None:
        raise UserError(f"backbone.name: expected one of {', '.join(BACKBONES)} (* is any text); got {name!r}")
    _require_own_settings(config, family)
    backbone = family.build(config)
    if config.backbone.frozen_stages:
        _staged(backbone, "backbone.frozen_stages", config.backbone.frozen_stages).freeze(config.backbone.frozen_stages)
    return backbone


def _require_own_settings(config: Config, family: BackboneFamily) -> None:
    """Settings of other families must be as if nobody had touched them."""
    others = {name for other in BACKBONES.values() for name in other.settings} - set(family.settings)
    for name in differing_settings(config, Config()):
        if name in others or name.partition(".")[0] in others:
            raise UserError(
                f"{name}: expected its default, {setting(Config(), name)}, since the backbone {config.backbone.name} "
                f"has no such setting; got {setting(config, name)}"
            )


def _staged(backbone: Backbone, name: str, value: object) -> StagedBackbone:
    if not isinstance(backbone, StagedBackbone):
        raise UserError(f"{name}: expected its default, since this backbone has no separate stages; got {value!r}")
    return backbone


def build_resnet(config: Config) -> ResNet:
    """A ResNet or ResNeXt."""
    settings = config.resnet
    layout = resnet_layout(config.backbone.name)
    if layout is None:
        raise UserError(
            f"backbone.name: expected one of {', '.join(RESNETS)}, or a ResNeXt such as resnext101_32x8d; "
            f"got {config.backbone.name!r}"
        )
    return ResNet(
        layout,
        in_channels=config.input.channels,
        norm=config.backbone.norm,
        norm_eps=settings.norm_eps,
        stem_channels=settings.stem_channels,
        stage_channels=settings.stage_channels or None,
        stride_in_1x1=settings.stride_in_1x1,
        stage5_stride=settings.stage5_stride,
        stage5_dilation=settings.stage5_dilation,
    )


BACKBONES: dict[str, BackboneFamily] = {
    "resne[tx]*": BackboneFamily(build_resnet, settings=("backbone.norm", "resnet")),
}
"""By names as in a shell: `*` is any text."""


def build_rpn(config: Config, backbone: FPN | SingleLevel | ImageItself) -> RPN:
    """Anchors, head and selection of proposals."""
    settings = config.rpn
    anchors = Anchors(
        config.anchors.sizes,
        config.anchors.ratios,
        backbone.strides,
        by_size=config.anchors.order == "size",
        rounded=config.anchors.rounded,
        stride_from_size=config.anchors.stride_from_size,
    )
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
        score_threshold=settings.score_threshold,
        divide_by_sampled=settings.divide_by == "sampled",
    )


def build_pooler(config: Config, trunk: Trunk, output_size: int) -> RoIPooler:
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
        -(-settings.pooled_size // trunk.roi_shrink),
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
        class_agnostic=settings.class_agnostic,
        smooth_l1_beta=settings.smooth_l1_beta,
        score_threshold=settings.score_threshold,
        min_size=settings.min_size,
        nms_threshold=settings.nms_threshold,
        max_detections=settings.max_detections,
    )


def build_mask_head(config: Config, trunk: Trunk, num_classes: int) -> MaskHead:
    """The mask branch."""
    settings = config.mask_head
    pooler = build_pooler(config, trunk, settings.pooled_size)
    rules = {
        "class_agnostic": settings.class_agnostic,
        "competing": settings.loss == "softmax",
        "target_aligned": settings.target_aligned,
        "target_binary": settings.target_binary,
    }
    if settings.kind == "mlp":
        roi_size = -(-settings.pooled_size // trunk.roi_shrink)
        return MLPMaskHead(
            pooler, trunk.roi_channels, num_classes, roi_size=roi_size, fc_channels=settings.fc_channels, **rules
        )
    return FCNMaskHead(
        pooler,
        trunk.roi_channels,
        num_classes,
        num_convs=settings.num_convs,
        channels=settings.channels,
        norm=settings.norm,
        **rules,
    )


def build_keypoint_head(config: Config, trunk: Trunk, num_keypoints: int | None) -> KeypointHead:
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
    )
