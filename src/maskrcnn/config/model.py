"""The model: from the picture to boxes, masks and keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maskrcnn.config.checks import require, require_fraction, require_positive

Norm = Literal["frozen_bn", "bn", "sync_bn", "gn"]
Features = Literal["fpn", "c4", "c5", "image"]


@dataclass(frozen=True, kw_only=True)
class InputConfig:
    """How an image becomes the network's input; `mean` and `std` apply to its channels, RGB as a rule, in [0, 1]."""

    min_size: int = 800
    """Resize so that the short side has this many pixels ..."""
    max_size: int = 1333
    """... unless the long side would then exceed this."""
    shrink: bool = True
    """False: never make an image smaller to reach `min_size` (only `max_size` may)."""
    antialias: bool = True
    """Filter when shrinking, as good resizers do; torchvision's detectors do not."""
    channels: int = 3
    """Of an image; files are read as RGB, other numbers are for arrays and tensors."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """One number per channel, as for `std`."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    size_divisor: int = 32
    """Batches are padded to a multiple of this, the coarsest stride."""
    rounding: Literal["down", "nearest"] = "down"
    """How a resized side becomes a whole number: torchvision cuts off, detectron2 rounds."""

    def __post_init__(self) -> None:
        require(
            0 < self.min_size <= self.max_size,
            "input.min_size",
            f"1 to max_size ({self.max_size})",
            self.min_size,
        )
        require_positive("input.channels", self.channels)
        for name, values in (("mean", self.mean), ("std", self.std)):
            expected = f"{self.channels} number(s), one for each of input.channels"
            require(len(values) == self.channels, f"input.{name}", expected, values)
        require(all(s > 0 for s in self.std), "input.std", "numbers above 0", self.std)


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """The bottom-up network, whichever it is; what belongs to one family alone has a section of its own."""

    name: str = "resnet50"
    """resnet18, 34, 50, 101, 152, or resnext50_32x4d and the like: depth, groups, channels per group."""
    features: Features = "fpn"
    """What the heads read (section 3, "Network Architecture"): the pyramid P2..P5; C4, with stage 5 as the heads' first
    layers; C5; or the image itself, with the whole network behind RoIAlign (R-CNN)."""
    norm: Norm = "frozen_bn"
    """To be left as it is for a backbone that has norms of its own."""
    frozen_stages: int = 0
    """How many stages keep their weights while training: 1 = the stem, 2 = stage 2 too, ... 5 = all."""

    def __post_init__(self) -> None:
        require(0 <= self.frozen_stages <= 5, "backbone.frozen_stages", "0 to 5", self.frozen_stages)
        require(
            self.features != "c4" or self.frozen_stages < 5,
            "backbone.frozen_stages",
            "0 to 4 where backbone.features is c4, whose stage 5 is part of the heads",
            self.frozen_stages,
        )


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """ResNet (He et al. 2016) and ResNeXt (Xie et al. 2017)."""

    stem_channels: int = 64
    """Width of the first convolution."""
    stage_channels: int = 0
    """Width of stage 2; stages 3, 4, 5 have 2, 4, 8 times as many (all times 4 after a bottleneck). 0: as the stem."""
    stride_in_1x1: bool = False
    """Where a bottleneck strides: in its first 1x1 (MSRA's weights) or in its 3x3 (torchvision's)."""
    stage5_stride: Literal[1, 2] = 2
    """1 with C4: the paper's head, on 7 x 7 RoI features; 1 with C5: stays at stride 16."""
    stage5_dilation: int = 1
    """Of its 3x3 convolutions; 2 with C5 at stride 1 is the dilated C5 ("DC5")."""
    norm_eps: float = 1e-5
    """Of frozen batch norm; torchvision's first COCO weights were published with 0."""

    def __post_init__(self) -> None:
        require(
            self.stem_channels > 0 and self.stem_channels % 8 == 0,
            "resnet.stem_channels",
            "a positive multiple of 8",
            self.stem_channels,
        )
        require_positive("resnet.stage5_dilation", self.stage5_dilation)
        require(self.stage_channels >= 0, "resnet.stage_channels", "0 or more", self.stage_channels)
        require(self.norm_eps >= 0, "resnet.norm_eps", "0 or more", self.norm_eps)


@dataclass(frozen=True, kw_only=True)
class FPNConfig:
    """The feature pyramid (Lin et al. 2017): P2..P5, and P6 from max-pooling P5."""

    channels: int = 256
    norm: Norm | None = None


@dataclass(frozen=True, kw_only=True)
class AnchorConfig:
    """Reference boxes per pyramid level: every size with every ratio at every cell."""

    sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    """Square root of the area in input pixels, a tuple per level (P2..P6, or the only one)."""
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height / width."""
    order: Literal["ratio", "size"] = "ratio"
    """Which of the two changes slowest among the anchors of a cell: torchvision's order, or detectron2's."""
    rounded: bool = False
    """Round the sides' halves to whole pixels (torchvision)."""
    stride_from_size: bool = False
    """Cells lie (image side // map side) apart instead of the level's stride: differs on P6 (torchvision)."""

    def __post_init__(self) -> None:
        require(
            len({len(s) for s in self.sizes}) == 1 and len(self.sizes[0]) > 0,
            "anchors.sizes",
            "the same number of sizes on every level (the RPN head is shared)",
            self.sizes,
        )


@dataclass(frozen=True, kw_only=True)
class RPNConfig:
    """Region proposal network (Ren et al. 2015)."""

    enabled: bool = True
    """False: proposals are given from outside (Fast R-CNN)."""
    num_convs: int = 1
    positive_iou: float = 0.7
    """An anchor with at least this IoU to a ground-truth box is positive (so is each box's best anchor)."""
    negative_iou: float = 0.3
    """An anchor with less than this to every box is negative."""
    samples_per_image: int = 256
    positive_fraction: float = 0.5
    smooth_l1_beta: float = 1 / 9
    """0 makes the box loss L1."""
    pre_nms_top_k_train: int = 2000
    """Per level."""
    pre_nms_top_k_test: int = 1000
    post_nms_top_k_train: int = 2000
    """Per image."""
    post_nms_top_k_test: int = 1000
    nms_threshold: float = 0.7
    min_size: float = 1e-3
    """Proposals with a side below this (input pixels) are removed."""
    score_threshold: float = 0.0
    """Proposals with a lower objectness probability are removed."""
    divide_by: Literal["sampled", "samples_per_image"] = "sampled"
    """The losses' divisor: the anchors drawn, or the number wished for though fewer could be drawn (detectron2)."""

    def __post_init__(self) -> None:
        for name in ("positive_iou", "negative_iou", "positive_fraction", "nms_threshold", "score_threshold"):
            require_fraction(f"rpn.{name}", getattr(self, name))
        limits = ("pre_nms_top_k_train", "pre_nms_top_k_test", "post_nms_top_k_train", "post_nms_top_k_test")
        for name in (*limits, "samples_per_image"):
            require_positive(f"rpn.{name}", getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class RoIConfig:
    """Which regions the heads train on, and how their features are cut out."""

    samples_per_image: int = 512
    positive_fraction: float = 0.25
    """1:3 positive to negative (Mask R-CNN section 3.1)."""
    positive_iou: float = 0.5
    crowd_overlap: float = 0.7
    """Anchors and RoIs with more than this share of their area in a crowd region are never negatives."""
    operator: Literal["align", "pool", "warp"] = "align"
    """RoIAlign; RoIPool (Fast R-CNN), which rounds the box; RoIWarp (Dai et al. 2016), which rounds, then samples."""
    pool_rounding: Literal["nearest", "floor"] = "nearest"
    """How RoIPool and RoIWarp move a box to whole cells: to the nearest, as published, or by cutting off."""
    reduce: Literal["mean", "max"] = "mean"
    """How RoIAlign and RoIWarp sum up the samples of a bin."""
    sampling_ratio: int = 2
    """Bilinear samples per bin and axis; 0 adapts it to the RoI's size."""
    aligned: bool = True
    """Subtract the half pixel between continuous coordinates and pixel centres."""
    level_lift: float = 1e-6
    """Added to log2 of the box size before it is cut to a level, so that rounding does not decide; detectron2: 0."""

    def __post_init__(self) -> None:
        for name in ("positive_fraction", "positive_iou", "crowd_overlap"):
            require_fraction(f"roi.{name}", getattr(self, name))
        require_positive("roi.samples_per_image", self.samples_per_image)


@dataclass(frozen=True, kw_only=True)
class BoxHeadConfig:
    """The class and box branch, and how its output becomes detections."""

    enabled: bool = True
    """False: the model ends with its proposals (RPN alone)."""
    pooled_size: int = 7
    """Bins a side that RoIAlign cuts out; stage 5 behind it (C4) halves them unless its stride is 1."""
    num_convs: int = 0
    conv_channels: int = 256
    num_fcs: int = 2
    """0: the mean over the RoI instead."""
    fc_channels: int = 1024
    norm: Norm | None = None
    """Norm of the conv layers."""
    class_agnostic: bool = False
    """One box regression for all classes instead of one per class."""
    smooth_l1_beta: float = 1 / 9
    score_threshold: float = 0.05
    min_size: float = 0.0
    """Detections with a side below this (input pixels) are removed before NMS."""
    nms_threshold: float = 0.5
    max_detections: int = 100
    """Per image, over all classes."""

    def __post_init__(self) -> None:
        require_fraction("box_head.score_threshold", self.score_threshold)
        require_fraction("box_head.nms_threshold", self.nms_threshold)
        require_positive("box_head.max_detections", self.max_detections)


@dataclass(frozen=True, kw_only=True)
class MaskHeadConfig:
    """The mask branch: a small network on each RoI (Mask R-CNN section 3)."""

    enabled: bool = True
    kind: Literal["fcn", "mlp"] = "fcn"
    """Fully convolutional, or two fully connected layers and one for all pixels (table 2e)."""
    pooled_size: int = 14
    """As for the box head; the mask has twice as many pixels a side as there are bins behind stage 5 (m = 28)."""
    num_convs: int = 4
    channels: int = 256
    fc_channels: int = 1024
    """Width of the MLP's layers."""
    norm: Norm | None = None
    class_agnostic: bool = False
    loss: Literal["sigmoid", "softmax"] = "sigmoid"
    """Each class has its own mask, or the classes and background compete for every pixel (table 2b)."""
    target_aligned: bool = True
    """Whether pixel centres lie at half-integers when the ground truth is cropped; torchvision: no."""
    target_binary: bool = False
    """Round the cropped ground truth to 0 or 1 (detectron2) instead of keeping partly covered pixels."""
    paste: Literal["exact", "torchvision"] = "exact"
    """How a mask becomes pixels of the image: on exactly its box, or on its grown box cut to whole pixels."""
    max_overlap: float = 1.0
    """In prediction, objects with a larger share of their pixels under better ones of their class are dropped; 1 keeps
    all, as in the paper. For objects that cannot overlap, such as cells, NMS of boxes is not enough."""

    def __post_init__(self) -> None:
        require_fraction("mask_head.max_overlap", self.max_overlap)


@dataclass(frozen=True, kw_only=True)
class KeypointHeadConfig:
    """The keypoint branch (section 5); which keypoints there are is told by the data's categories."""

    enabled: bool = False
    pooled_size: int = 14
    """As for the box head; the keypoints' maps have four times as many cells a side as there are bins (m = 56)."""
    num_convs: int = 8
    channels: int = 512
    rule: Literal["detectron2", "torchvision"] = "detectron2"
    """What the score of a keypoint is: the probability of its peak, or the logit (torchvision)."""
    shift: float = 0.0
    """Original pixels to add to x and y of what the maps say: 0.5 for weights that learned COCO's pixel numbers instead
    of continuous coordinates, as torchvision's did."""
