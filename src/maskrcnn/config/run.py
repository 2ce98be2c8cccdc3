"""A complete run: all sections together, and what concerns several of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from maskrcnn.config.augmentation import Augmentation
from maskrcnn.config.checks import Count, Section, require
from maskrcnn.config.data import DataConfig
from maskrcnn.config.dense import DenseBranchConfig, SemanticHeadConfig
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
    semantic_head: SemanticHeadConfig = field(default_factory=SemanticHeadConfig)
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
        dense = [s for s in vars(self).values() if isinstance(s, DenseBranchConfig) and s.enabled]
        asks = self.finds_objects or bool(dense)
        require(asks, "rpn.enabled", "an RPN, a box head or a branch for every pixel", False)
        self._check_stages()
        require(
            not (self.augment.copy_paste and self.needs_proposals),
            "augment.copy_paste",
            "0 without an RPN, since proposals from outside know nothing of pasted objects",
            self.augment.copy_paste,
        )
        for name, section in vars(self).items():
            require(
                self.box_head.enabled or not (isinstance(section, RoIBranchConfig) and section.enabled),
                f"{name}.enabled",
                "false without a box head, which finds the boxes to look into",
                True,
            )

    def _check_stages(self) -> None:
        """The maps of all stages differ in width: one RPN or head cannot read them, but FCN does."""
        features, semantic = self.backbone.features, self.semantic_head.enabled
        stages = features == "stages"
        require(not semantic or features in ("stages", "fpn"), "backbone.features", "stages (FCN) or fpn", features)
        require(semantic or not stages, "backbone.features", "another without semantic_head.enabled (FCN)", features)
        for name in ("rpn", "box_head"):
            enabled = getattr(self, name).enabled
            require(
                not (stages and enabled), f"{name}.enabled", "false where backbone.features is stages (FCN)", enabled
            )

    @property
    def needs_masks(self) -> bool:
        """Whether objects without a mask are of no use."""
        return self.mask_head.enabled or self.semantic_head.enabled

    @property
    def needs_proposals(self) -> bool:
        """Whether boxes to look at come from outside."""
        return self.box_head.enabled and not self.rpn.enabled

    @property
    def finds_objects(self) -> bool:
        """Whether any part asks for objects: all but FCN's."""
        return self.rpn.enabled or self.box_head.enabled

    @property
    def tells_classes(self) -> bool:
        """Whether there is more than an RPN, which knows objects alone."""
        return self.box_head.enabled or self.semantic_head.enabled
