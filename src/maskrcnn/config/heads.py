"""The heads: from regions to boxes, masks and keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from maskrcnn.config.checks import Count, Depth, Fraction, Grid, Range, Section, Side, Weight, Width
from maskrcnn.config.model import Norm

_RegionSide = Annotated[int, Range(1, 224)]


@dataclass(frozen=True, kw_only=True)
class RoIConfig(Section, name="roi"):
    """Which regions the heads train on, and how their features are cut out."""

    samples_per_image: Count = 512
    positive_fraction: Fraction = 0.25
    """1:3 positive to negative (Mask R-CNN section 3.1)."""
    positive_iou: Fraction = 0.5
    crowd_overlap: Fraction = 0.7
    """Anchors and RoIs with more than this share of their area in a crowd region are never negatives."""
    operator: Literal["align", "pool", "warp"] = "align"
    """RoIAlign; RoIPool (Fast R-CNN), which rounds the box; RoIWarp (Dai et al. 2016), which rounds, then samples."""
    pool_rounding: Literal["nearest", "floor"] = "nearest"
    """How RoIPool and RoIWarp move a box to whole cells: to the nearest, as published, or by cutting off."""
    reduce: Literal["mean", "max"] = "mean"
    """How RoIAlign and RoIWarp sum up the samples of a bin."""
    sampling_ratio: Annotated[int, Range(0, 64)] = 2
    """Bilinear samples per bin and axis; 0 adapts it to the RoI's size."""
    aligned: bool = True
    """Subtract the half pixel between continuous coordinates and pixel centres."""
    level_lift: Fraction = 1e-6
    """Added to log2 of the box size before it is cut to a level, so that rounding does not decide; detectron2: 0."""


@dataclass(frozen=True, kw_only=True)
class BoxHeadConfig(Section, name="box_head"):
    """The class and box branch, and how its output becomes detections."""

    enabled: bool = True
    """False: the model ends with its proposals (RPN alone)."""
    pooled_size: _RegionSide | tuple[_RegionSide, _RegionSide] = 7
    """Bins a side that RoIAlign cuts out, or [rows, columns]; stage 5 behind it (C4) halves them unless its stride is
    1. In R-CNN these are pixels: 224 a side, as networks are trained for ImageNet."""
    num_convs: Depth = 0
    conv_channels: Width = 256
    num_fcs: Depth = 2
    """0: the mean over the RoI instead."""
    fc_channels: Width = 1024
    norm: Norm | None = None
    """Norm of the conv layers."""
    class_agnostic: bool = False
    """One box regression for all classes instead of one per class."""
    smooth_l1_beta: Annotated[float, Range(0, 1000)] = 1 / 9
    score_threshold: Fraction = 0.05
    min_size: Side = 0.0
    """Detections with a side below this (input pixels) are removed before NMS."""
    nms_threshold: Fraction = 0.5
    max_detections: Count = 100
    """Per image, over all classes."""
    classification_weight: Weight = 1.0
    """Factor of the loss of classes."""
    box_weight: Weight = 1.0
    """Factor of the loss of boxes."""


@dataclass(frozen=True, kw_only=True)
class RoIBranchConfig(Section, name="(branch)"):
    """What the sections of all branches beside the box head have in common."""

    enabled: bool = False
    pooled_size: Grid = 14
    """Bins a side that RoIAlign cuts out, as for the box head."""
    loss_weight: Weight = 1.0
    """Factor of its loss."""


@dataclass(frozen=True, kw_only=True)
class MaskHeadConfig(RoIBranchConfig, name="mask_head"):
    """The mask branch: a small network on each RoI (Mask R-CNN section 3).

    A mask has twice as many pixels a side as there are bins behind stage 5 (m = 28).
    """

    enabled: bool = True
    kind: Literal["fcn", "mlp"] = "fcn"
    """Fully convolutional, or two fully connected layers and one for all pixels (table 2e)."""
    num_convs: Depth = 4
    channels: Width = 256
    fc_channels: Width = 1024
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
    threshold: Annotated[float, Range(0, 1, above=True, below=True)] = 0.5
    """In prediction, from which probability on a pixel belongs to the object (section 3.1: 0.5)."""
    max_overlap: Fraction = 1.0
    """In prediction, objects with a larger share of their pixels under better ones of their class are dropped; 1 keeps
    all, as in the paper. For objects that cannot overlap, such as cells, NMS of boxes is not enough."""


@dataclass(frozen=True, kw_only=True)
class KeypointHeadConfig(RoIBranchConfig, name="keypoint_head"):
    """The keypoint branch (section 5); which keypoints there are is told by the data's categories.

    Its maps have four times as many cells a side as there are bins (m = 56).
    """

    num_convs: Depth = 8
    channels: Width = 512
    rule: Literal["detectron2", "torchvision"] = "detectron2"
    """What the score of a keypoint is: the probability of its peak, or the logit (torchvision)."""
    shift: Annotated[float, Range(-16, 16)] = 0.0
    """Original pixels to add to x and y of what the maps say: 0.5 for weights that learned COCO's pixel numbers instead
    of continuous coordinates, as torchvision's did."""
