"""The branches for every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from maskrcnn.config.checks import Range, Section, Weight


@dataclass(frozen=True, kw_only=True)
class DenseBranchConfig(Section, name="(branch)"):
    """What the sections of all such branches have in common."""

    enabled: bool = False
    loss_weight: Weight = 1.0
    """Factor of its loss."""


@dataclass(frozen=True, kw_only=True)
class SemanticHeadConfig(DenseBranchConfig, name="semantic_head"):
    """To which class does each pixel belong? All classes and background compete in one softmax (Long et al. 2015)."""

    stride: Literal[8, 16, 32] = 8
    """Of the finest map that FCN scores, in input pixels: FCN-8s, FCN-16s, FCN-32s."""
    channels: Annotated[int, Range(32, 8192, multiple_of=32)] = 128
    """Of the layers on the pyramid (Panoptic FPN); group norm makes 32 groups of them."""
