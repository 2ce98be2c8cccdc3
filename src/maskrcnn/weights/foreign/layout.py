"""What the weights tell about the model: each setting that their names and shapes give away."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from maskrcnn.config import (
    AnchorConfig,
    BackboneConfig,
    BoxHeadConfig,
    Config,
    FPNConfig,
    KeypointHeadConfig,
    MaskHeadConfig,
    Norm,
    ResNetConfig,
    RPNConfig,
)
from maskrcnn.errors import UserError
from maskrcnn.models.backbones.resnet import RESNETS
from maskrcnn.weights.foreign.names import BACKBONE

_FIRST_BLOCK = f"{BACKBONE}.stages.0.0.residual"


class Layout:
    """A model as its weights show it.

    Args:
        tensors: weights by our names.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}

    def has(self, layer: str) -> bool:
        """Whether there is a weight of this layer or inside it."""
        return any(name.startswith(f"{layer}.") for name in self._shapes)

    def shape(self, layer: str) -> tuple[int, ...]:
        """Of the layer's `weight`.

        Raises:
            UserError: there is no such layer, or its weight has too few dimensions to be one.
        """
        shape = self._shapes.get(f"{layer}.weight")
        if shape is None:
            raise UserError(f"lacks {layer}.weight, without which the model cannot be told")
        return shape

    def size(self, layer: str, axis: int) -> int:
        """One side of the layer's `weight`; 0 is the outputs' for a convolution or a linear layer."""
        shape = self.shape(layer)
        if axis >= len(shape) or 0 in shape:
            raise UserError(f"{layer}.weight has shape {shape}, which is not that of such a layer")
        return shape[axis]

    def children(self, layer: str) -> list[int]:
        """The numbers of the layers directly inside this one."""
        inside = (name[len(layer) + 1 :].split(".")[0] for name in self._shapes if name.startswith(f"{layer}."))
        return sorted({int(number) for number in inside if number.isdecimal()})

    def of_rank(self, layer: str, dimensions: int) -> list[str]:
        """The layers directly inside this one whose weight has so many dimensions: 4 convolution, 2 linear, 1 norm."""
        inside = [f"{layer}.{number}" for number in self.children(layer)]
        return [name for name in inside if len(self._shapes.get(f"{name}.weight", ())) == dimensions]

    def norm(self, layer: str) -> Norm:
        """Which kind of norm; frozen and ordinary batch norm differ in the counter of batches."""
        if f"{layer}.running_mean" not in self._shapes:
            return "gn"
        return "bn" if f"{layer}.num_batches_tracked" in self._shapes else "frozen_bn"

    def norm_inside(self, layer: str) -> Norm | None:
        """That of the norms directly inside a layer, which are never frozen in a head; None without norms."""
        norms = self.of_rank(layer, 1)
        if not norms:
            return None
        return "gn" if self.norm(norms[0]) == "gn" else "bn"

    @property
    def is_backbone(self) -> bool:
        """Whether there are neither an RPN nor heads."""
        return not (self.has("rpn") or self.has("box_head"))

    @property
    def num_classes(self) -> int:
        """K, the background not counted; an RPN alone knows one class, the object."""
        return self.size("box_head.class_logits", 0) - 1 if self.has("box_head") else 1

    @property
    def num_keypoints(self) -> int | None:
        """P; None without a keypoint branch."""
        return self.size("keypoint_head.upsample", 1) if self.has("keypoint_head") else None

    def config(self, base: Config) -> Config:
        """`base` with the settings that the weights show; those of the heads stay where there are none."""
        if self.is_backbone:
            backbone = replace(self._backbone(base.backbone), features=base.backbone.features)
            return replace(base, backbone=backbone, resnet=self._resnet(base.resnet))
        return replace(
            base,
            backbone=self._backbone(base.backbone),
            resnet=self._resnet(base.resnet),
            fpn=self._fpn(base.fpn),
            anchors=self._anchors(base.anchors),
            rpn=self._rpn(base.rpn),
            box_head=self._box_head(base.box_head),
            mask_head=self._mask_head(base.mask_head),
            keypoint_head=self._keypoint_head(base.keypoint_head),
        )

    def _backbone(self, base: BackboneConfig) -> BackboneConfig:
        return replace(
            base,
            name=self._network(),
            features="fpn" if self.has("backbone.lateral") else "c4" if self.has("roi_layers") else "c5",
            norm=self.norm(f"{BACKBONE}.stem.1"),
        )

    def _resnet(self, base: ResNetConfig) -> ResNetConfig:
        stem, stage = self.size(f"{BACKBONE}.stem.0", 0), self._stage_channels()
        return replace(base, stem_channels=stem, stage_channels=0 if stage == stem else stage)

    def _is_bottleneck(self) -> bool:
        return self.has(f"{_FIRST_BLOCK}.6")

    def _stage_channels(self) -> int:
        """The width of stage 2."""
        return self.size(f"{_FIRST_BLOCK}.6", 0) // 4 if self._is_bottleneck() else self.size(f"{_FIRST_BLOCK}.3", 0)

    def _network(self) -> str:
        """The name in the form of `resnet50` or `resnext101_32x8d`."""
        bottleneck = self._is_bottleneck()
        stages = [f"{BACKBONE}.stages.{i}" for i in self.children(f"{BACKBONE}.stages")]
        blocks = tuple(len(self.children(stage)) for stage in (*stages, *(["roi_layers"] * self.has("roi_layers"))))
        name = next((n for n, r in RESNETS.items() if (r.blocks, r.bottleneck) == (blocks, bottleneck)), None)
        if name is None:
            raise UserError(f"has {blocks} blocks in the stages of its backbone; expected one of {', '.join(RESNETS)}")
        if not bottleneck:
            return name
        layer = f"{_FIRST_BLOCK}.3"
        width, per_group = self.size(layer, 0), self.size(layer, 1)
        group_width = per_group * RESNETS[name].group_width // self._stage_channels()  # of a network of the usual width
        if (width // per_group, group_width) == (1, RESNETS[name].group_width):
            return name
        return f"{name.replace('resnet', 'resnext')}_{width // per_group}x{group_width}d"

    def _fpn(self, base: FPNConfig) -> FPNConfig:
        if not self.has("backbone.lateral"):
            return base
        return FPNConfig(channels=self.size("backbone.lateral.0.0", 0), norm=self.norm_inside("backbone.lateral.0"))

    def _anchors(self, base: AnchorConfig) -> AnchorConfig:
        """Without a pyramid the only level has the anchors of all sizes."""
        if self.has("backbone.lateral"):
            return base
        return replace(base, sizes=(tuple(size for level in base.sizes for size in level),))

    def _rpn(self, base: RPNConfig) -> RPNConfig:
        return replace(base, enabled=self.has("rpn.head"), num_convs=len(self.children("rpn.head.convs")) or 1)

    def _box_head(self, base: BoxHeadConfig) -> BoxHeadConfig:
        if not self.has("box_head"):
            return replace(base, enabled=False)
        convs, fcs = self.of_rank("box_head.trunk", 4), self.of_rank("box_head.trunk", 2)
        return replace(
            base,
            num_convs=len(convs),
            conv_channels=self.size(convs[0], 0) if convs else base.conv_channels,
            num_fcs=len(fcs),
            fc_channels=self.size(fcs[0], 0) if fcs else base.fc_channels,
            pooled_size=self._pooled_size(fcs[0], convs) if fcs else base.pooled_size,
            norm=self.norm_inside("box_head.trunk"),
            class_agnostic=self.num_classes > 1 and self.size("box_head.deltas", 0) == 4,
        )

    def _pooled_size(self, first_fc: str, convs: list[str]) -> int:
        """The side of the RoI features, all of which the first fully connected layer reads."""
        channels = self.size(convs[-1], 0) if convs else self._roi_channels()
        return math.isqrt(self.size(first_fc, 1) // channels)

    def _roi_channels(self) -> int:
        """Of the maps that a head without stage 5 reads."""
        if self.has("backbone.lateral"):
            return self.size("backbone.output.0.0", 0)
        last = f"{BACKBONE}.stages.{self.children(f'{BACKBONE}.stages')[-1]}.0.residual"
        return self.size(self.of_rank(last, 4)[-1], 0)

    def _mask_head(self, base: MaskHeadConfig) -> MaskHeadConfig:
        if not self.has("mask_head"):
            return replace(base, enabled=False)
        return replace(
            base,
            enabled=True,
            num_convs=len(self.of_rank("mask_head.convs", 4)),
            channels=self.size("mask_head.mask_logits", 1),
            norm=self.norm_inside("mask_head.convs"),
            class_agnostic=self.num_classes > 1 and self.size("mask_head.mask_logits", 0) == 1,
        )

    def _keypoint_head(self, base: KeypointHeadConfig) -> KeypointHeadConfig:
        if not self.has("keypoint_head"):
            return replace(base, enabled=False)
        return replace(
            base,
            enabled=True,
            num_convs=len(self.of_rank("keypoint_head.convs", 4)),
            channels=self.size("keypoint_head.upsample", 0),
        )
