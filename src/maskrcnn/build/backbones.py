"""Backbones by name, and what of them the heads read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from maskrcnn.config import Config
from maskrcnn.errors import UserError
from maskrcnn.models.backbones.backbone import Backbone, StagedBackbone
from maskrcnn.models.backbones.efficientnet_lite import EfficientNetLite0
from maskrcnn.models.backbones.resnet import RESNETS, ResNet, resnet_layout
from maskrcnn.models.backbones.single import EveryMap, ImageItself, LastMap, SingleLevel
from maskrcnn.models.fpn import FPN
from maskrcnn.settings import differing_settings, setting

_POOLED_LEVELS = 4
"""The heads read P2..P5; P6 is for the RPN alone."""


@dataclass(frozen=True)
class Trunk:
    """What lies before the heads.

    Attributes:
        backbone: pixels -> feature maps.
        strides: of the maps that the heads read.
        roi_layers: what the heads share behind RoIAlign, or None.
        roi_channels: channels of what a head sees.
        roi_shrink: how many times smaller its sides are than RoIAlign's output.
    """

    backbone: FPN | SingleLevel | ImageItself | EveryMap
    strides: tuple[int, ...]
    roi_layers: nn.Module | None
    roi_channels: int
    roi_shrink: int = 1

    @property
    def channels(self) -> tuple[int, ...]:
        """Of each of the backbone's maps."""
        own = self.backbone.channels
        return own if isinstance(own, tuple) else (own,) * len(self.backbone.strides)

    def roi_size(self, pooled_size: int | tuple[int, int]) -> tuple[int, int]:
        """The height and width of what a head sees, from the bins that RoIAlign cuts out."""
        rows, columns = (pooled_size, pooled_size) if isinstance(pooled_size, int) else pooled_size
        return -(-rows // self.roi_shrink), -(-columns // self.roi_shrink)


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
    if features == "stages":
        return Trunk(EveryMap(backbone), strides, None, channels)
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
    default = type(config)()
    for name in differing_settings(config, default):
        if name in others or name.partition(".")[0] in others:
            raise UserError(
                f"{name}: expected its default, {setting(default, name)}, since the backbone {config.backbone.name} "
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
    "efficientnet_lite0": BackboneFamily(
        lambda config: EfficientNetLite0(config.input.channels, config.backbone.norm), settings=("backbone.norm",)
    ),
}
"""By names as in a shell: `*` is any text."""
