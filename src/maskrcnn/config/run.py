"""A complete run: all sections together, and what concerns several of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from maskrcnn.config.augmentation import Augmentation
from maskrcnn.config.checks import Count, Section, require
from maskrcnn.config.data import DataConfig
from maskrcnn.config.heads import BoxHeadConfig, KeypointHeadConfig, MaskHeadConfig, RoIBranchConfig, RoIConfig
from maskrcnn.config.model import (
    AnchorConfig,
    BackboneConfig,
    FPNConfig,
    InputConfig,
    ResNetConfig,
    RPNConfig,
)
from maskrcnn.config.training import OptimizerConfig, ScheduleConfig, TrainConfig


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig(Section, name="evaluation"):
    """COCO metrics."""

    max_detections: Count = 100
    """Detections per image that count (COCO's maxDets); printed with every result."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """A complete run: the model, its data, its training."""

    input: InputConfig = field(default_factory=InputConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    resnet: ResNetConfig = field(default_factory=ResNetConfig)
    fpn: FPNConfig = field(default_factory=FPNConfig)
    anchors: AnchorConfig = field(default_factory=AnchorConfig)
    rpn: RPNConfig = field(default_factory=RPNConfig)
    roi: RoIConfig = field(default_factory=RoIConfig)
    box_head: BoxHeadConfig = field(default_factory=BoxHeadConfig)
    mask_head: MaskHeadConfig = field(default_factory=MaskHeadConfig)
    keypoint_head: KeypointHeadConfig = field(default_factory=KeypointHeadConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: Augmentation = field(default_factory=Augmentation)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        """Check what concerns several sections.

        Raises:
            UserError: parts that do not fit together.
        """
        features = self.backbone.features
        levels = 5 if features == "fpn" else 1
        if self.rpn.enabled:
            require(features != "image", "rpn.enabled", "false where backbone.features is image (R-CNN)", True)
            require(
                len(self.anchors.sizes) == levels,
                "anchors.sizes",
                f"{levels} tuple(s) of sizes, one per level of backbone.features {features!r}",
                self.anchors.sizes,
            )
        require(self.rpn.enabled or self.box_head.enabled, "rpn.enabled", "an RPN or a box head, or both", False)
        for name, section in vars(self).items():
            require(
                self.box_head.enabled or not (isinstance(section, RoIBranchConfig) and section.enabled),
                f"{name}.enabled",
                "false without a box head, which finds the boxes to look into",
                True,
            )
