"""The model: from the picture to the proposals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from maskrcnn.config.checks import (
    Count,
    Depth,
    Fraction,
    Length,
    Pixels,
    Range,
    Section,
    Side,
    Text,
    Weight,
    Width,
    require,
)

Norm = Literal["frozen_bn", "bn", "sync_bn", "gn"]
Features = Literal["fpn", "c4", "c5", "image", "stages"]
_AnchorSizes = Annotated[tuple[Annotated[float, Range(0, 65536, above=True)], ...], Length(1, 64)]


@dataclass(frozen=True, kw_only=True)
class InputConfig(Section, name="input"):
    """How an image becomes the network's input; `mean` and `std` apply to its channels, RGB as a rule, in [0, 1]."""

    min_size: Pixels = 800
    """Resize so that the short side has this many pixels ..."""
    max_size: Pixels = 1333
    """... unless the long side would then exceed this."""
    shrink: bool = True
    """False: never make an image smaller to reach `min_size` (only `max_size` may)."""
    antialias: bool = True
    """Filter when shrinking, as good resizers do; torchvision's detectors do not."""
    channels: Annotated[int, Range(1, 1024)] = 3
    """Of an image. Three are RGB, which files of any kind become; of other numbers, files must have as many."""
    rgb: bool = True
    """False: three channels of another kind, read as other numbers of channels are."""
    drawn_channels: Annotated[tuple[Annotated[int, Range(0, 1023)], ...], Length(0, 3)] = ()
    """The three that are red, green and blue in pictures, counted from 0; empty: the first three, or the last again."""
    mean: Annotated[tuple[Annotated[float, Range(-1e6, 1e6)], ...], Length(0, 1024)] = (0.485, 0.456, 0.406)
    """One number per channel, as for `std`; both empty: measured on the training images."""
    std: Annotated[tuple[Annotated[float, Range(0, 1e6, above=True)], ...], Length(0, 1024)] = (0.229, 0.224, 0.225)
    size_divisor: Annotated[int, Range(1, 1024)] = 32
    """Batches are padded to a multiple of this, the coarsest stride."""
    rounding: Literal["down", "nearest"] = "down"
    """How a resized side becomes a whole number: torchvision cuts off, detectron2 rounds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.min_size <= self.max_size, "input.min_size", f"1 to max_size ({self.max_size})", self.min_size)
        wanted = self.channels if self.mean or self.std else 0
        for name, values in (("mean", self.mean), ("std", self.std)):
            expected = f"{self.channels} number(s), one for each of input.channels, or none in mean and std"
            require(len(values) == wanted, f"input.{name}", expected, values)
        drawn = self.drawn_channels
        expected = f"three numbers from 0 to {self.channels - 1}, or none"
        are_there = len(drawn) in (0, 3) and all(place < self.channels for place in drawn)
        require(are_there, "input.drawn_channels", expected, drawn)

    def completed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Channels of another number or kind have other means, and others are drawn."""
        if all(values.get(name, getattr(self, name)) == getattr(self, name) for name in ("channels", "rgb")):
            return values
        return {"mean": (), "std": (), "drawn_channels": (), **values}


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(Section, name="backbone"):
    """The bottom-up network, whichever it is; what belongs to one family alone has a section of its own."""

    name: Text = "resnet50"
    """resnet18, 34, 50, 101, 152, or resnext50_32x4d and the like: depth, groups, channels per group; or
    efficientnet_lite0."""
    features: Features = "fpn"
    """What the heads read (section 3, "Network Architecture"): the pyramid P2..P5; C4, with stage 5 as the heads' first
    layers; C5; the image itself, with the whole network behind RoIAlign (R-CNN); or C2..C5 of all stages (FCN)."""
    norm: Norm = "frozen_bn"
    """To be left as it is for a backbone that has norms of its own."""
    frozen_stages: Annotated[int, Range(0, 5)] = 0
    """How many stages keep their weights while training: 1 = the stem, 2 = stage 2 too, ... 5 = all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.features != "c4" or self.frozen_stages < 5,
            "backbone.frozen_stages",
            "0 to 4 where backbone.features is c4, whose stage 5 is part of the heads",
            self.frozen_stages,
        )


@dataclass(frozen=True, kw_only=True)
class ResNetConfig(Section, name="resnet"):
    """ResNet (He et al. 2016) and ResNeXt (Xie et al. 2017)."""

    stem_channels: Annotated[int, Range(8, 4096, multiple_of=8)] = 64
    """Width of the first convolution."""
    stage_channels: Annotated[int, Range(0, 4096)] = 0
    """Width of stage 2; stages 3, 4, 5 have 2, 4, 8 times as many (all times 4 after a bottleneck). 0: as the stem."""
    stride_in_1x1: bool = False
    """Where a bottleneck strides: in its first 1x1 (MSRA's weights) or in its 3x3 (torchvision's)."""
    stage5_stride: Literal[1, 2] = 2
    """1 with C4: the paper's head, on 7 x 7 RoI features; 1 with C5: stays at stride 16."""
    stage5_dilation: Annotated[int, Range(1, 64)] = 1
    """Of its 3x3 convolutions; 2 with C5 at stride 1 is the dilated C5 ("DC5")."""
    norm_eps: Fraction = 1e-5
    """Of frozen batch norm; torchvision's first COCO weights were published with 0."""


@dataclass(frozen=True, kw_only=True)
class FPNConfig(Section, name="fpn"):
    """The feature pyramid (Lin et al. 2017): P2..P5, and P6 from max-pooling P5."""

    channels: Width = 256
    norm: Norm | None = None


@dataclass(frozen=True, kw_only=True)
class AnchorConfig(Section, name="anchors"):
    """Reference boxes per pyramid level: every size with every ratio at every cell."""

    sizes: Annotated[tuple[_AnchorSizes, ...], Length(1, 16)] = ((32,), (64,), (128,), (256,), (512,))
    """Square root of the area in input pixels, a tuple per level (P2..P6, or the only one)."""
    ratios: Annotated[tuple[Annotated[float, Range(0, 1000, above=True)], ...], Length(1, 64)] = (0.5, 1.0, 2.0)
    """Height / width."""
    order: Literal["ratio", "size"] = "ratio"
    """Which of the two changes slowest among the anchors of a cell: torchvision's order, or detectron2's."""
    rounded: bool = False
    """Round the sides' halves to whole pixels (torchvision)."""
    stride_from_size: bool = False
    """Cells lie (image side // map side) apart instead of the level's stride: differs on P6 (torchvision)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            len({len(sizes) for sizes in self.sizes}) == 1,
            "anchors.sizes",
            "the same number of sizes on every level (the RPN head is shared)",
            self.sizes,
        )


@dataclass(frozen=True, kw_only=True)
class RPNConfig(Section, name="rpn"):
    """Region proposal network (Ren et al. 2015)."""

    enabled: bool = True
    """False: proposals are given from outside (Fast R-CNN)."""
    num_convs: Depth = 1
    positive_iou: Fraction = 0.7
    """An anchor with at least this IoU to a ground-truth box is positive (so is each box's best anchor)."""
    negative_iou: Fraction = 0.3
    """An anchor with less than this to every box is negative."""
    samples_per_image: Count = 256
    positive_fraction: Fraction = 0.5
    smooth_l1_beta: Annotated[float, Range(0, 1000)] = 1 / 9
    """0 makes the box loss L1."""
    pre_nms_top_k_train: Count = 2000
    """Per level."""
    pre_nms_top_k_test: Count = 1000
    post_nms_top_k_train: Count = 2000
    """Per image."""
    post_nms_top_k_test: Count = 1000
    nms_threshold: Fraction = 0.7
    min_size: Side = 1e-3
    """Proposals with a side below this (input pixels) are removed."""
    score_threshold: Fraction = 0.0
    """Proposals with a lower objectness probability are removed."""
    divide_by: Literal["sampled", "samples_per_image"] = "sampled"
    """The losses' divisor: the anchors drawn, or the number wished for though fewer could be drawn (detectron2)."""
    objectness_weight: Weight = 1.0
    """Factor of the loss of objectness."""
    box_weight: Weight = 1.0
    """Factor of the loss of boxes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.negative_iou <= self.positive_iou,
            "rpn.negative_iou",
            f"at most positive_iou ({self.positive_iou})",
            self.negative_iou,
        )
