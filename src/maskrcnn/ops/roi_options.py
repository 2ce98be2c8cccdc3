"""How the features of boxes are cut out: what RoIAlign and the operators that it is compared with have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Reduce = Literal["mean", "max"]
Rounding = Literal["nearest", "floor"]


@dataclass(frozen=True)
class RoIAlignOptions:
    """The named differences between implementations.

    Attributes:
        output_size: S, bins per side; or (rows, columns) of bins.
        spatial_scale: feature cells per box pixel (1 / stride).
        sampling_ratio: samples per bin and axis; 0 takes ceil(box side in cells / S).
        aligned: cell centres lie at half-integers (True), or the box is taken half a cell too far right and down.
        reduce: average the samples of a bin, or take the largest.
        rounding: how RoIPool and RoIWarp move a box to whole cells, see `roi_pool.round_boxes`.
    """

    output_size: int | tuple[int, int]
    spatial_scale: float = 1.0
    sampling_ratio: int = 2
    aligned: bool = True
    reduce: Reduce = "mean"
    rounding: Rounding = "nearest"

    @property
    def bins(self) -> tuple[int, int]:
        """Rows and columns of bins."""
        return (self.output_size, self.output_size) if isinstance(self.output_size, int) else self.output_size


RoIOperator = Callable[[Tensor, Tensor, Tensor, RoIAlignOptions], Tensor]
"""Cuts out the features of boxes, arguments as `roi_align`: that, `roi_pool`, `roi_warp`, or one of your own."""
