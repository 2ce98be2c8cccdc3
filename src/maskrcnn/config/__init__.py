"""Every setting of the package, as frozen dataclasses: what can be set, its range, its default.

`presets/` holds the functions that fill them in; `settings.py` reads them from YAML, `--set` and checkpoints.

A run is one `Config`. Sections sit one level deep, so that a setting is named the same in Python
(`config.rpn.nms_threshold`), in YAML (`rpn: {nms_threshold: 0.6}`) and on the command line
(`--set rpn.nms_threshold=0.6`). Values are checked when a section is made.
"""

from maskrcnn.config.augmentation import Augmentation
from maskrcnn.config.data import DataConfig
from maskrcnn.config.dense import DenseBranchConfig, SemanticHeadConfig
from maskrcnn.config.heads import BoxHeadConfig, KeypointHeadConfig, MaskHeadConfig, RoIBranchConfig, RoIConfig
from maskrcnn.config.model import (
    AnchorConfig,
    BackboneConfig,
    Features,
    FPNConfig,
    InputConfig,
    Norm,
    ResNetConfig,
    RPNConfig,
)
from maskrcnn.config.run import Config, EvaluationConfig
from maskrcnn.config.training import OptimizerConfig, ScheduleConfig, TrainConfig

__all__ = [
    "AnchorConfig",
    "Augmentation",
    "BackboneConfig",
    "BoxHeadConfig",
    "Config",
    "DataConfig",
    "DenseBranchConfig",
    "EvaluationConfig",
    "FPNConfig",
    "Features",
    "InputConfig",
    "KeypointHeadConfig",
    "MaskHeadConfig",
    "Norm",
    "OptimizerConfig",
    "RPNConfig",
    "ResNetConfig",
    "RoIBranchConfig",
    "RoIConfig",
    "ScheduleConfig",
    "SemanticHeadConfig",
    "TrainConfig",
]
