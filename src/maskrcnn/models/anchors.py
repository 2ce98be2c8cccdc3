"""Anchors: the reference boxes that the RPN scores and refines (Faster R-CNN section 3.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from maskrcnn.structures import Size


def cell_anchors(
    sizes: Sequence[float], ratios: Sequence[float], *, by_size: bool = False, rounded: bool = False
) -> Tensor:
    """(A, 4) boxes around the origin: for each ratio (height / width), each size (square root of the area).

    Args:
        sizes: S of them.
        ratios: A / S of them.
        by_size: for each size, each ratio.
        rounded: half the sides to whole pixels.
    """
    ratio = torch.tensor(ratios, dtype=torch.float32)[:, None]
    size = torch.tensor(sizes, dtype=torch.float32)[None, :]
    height, width = size * ratio.sqrt(), size * (1 / ratio.sqrt())
    if by_size:
        height, width = height.T, width.T
    half = torch.stack([-width, -height, width, height], dim=-1).view(-1, 4) / 2
    return half.round() if rounded else half


class Anchors(nn.Module):
    """All anchors of a pyramid.

    Args:
        sizes: per level, the sizes in input pixels.
        ratios: height / width.
        strides: of the levels, in input pixels.
        by_size: order of a cell's anchors, see `cell_anchors`.
        rounded: see `cell_anchors`.
        stride_from_size: cells lie (image side // map side) apart, which on P6 is less than its stride wherever P5 has
            an odd side.
    """

    cells: Tensor

    def __init__(
        self,
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[float],
        strides: Sequence[int],
        *,
        by_size: bool = False,
        rounded: bool = False,
        stride_from_size: bool = False,
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.stride_from_size = stride_from_size
        with torch.device("cpu"):  # also in a model built without memory (device "meta"): no file brings them
            cells = torch.stack([cell_anchors(level, ratios, by_size=by_size, rounded=rounded) for level in sizes])
        self.register_buffer("cells", cells, persistent=False)  # (L, A, 4)

    @property
    def per_cell(self) -> int:
        """A, the number of anchors at each cell."""
        return self.cells.shape[1]

    def forward(self, features: Sequence[Tensor], image_size: Size) -> list[Tensor]:
        """Per level (h * w * A, 4) boxes in the `input` frame, in the order y, x, anchor.

        Cell (x, y) of a level is centred at (x, y) * stride, as in torchvision and detectron2.

        Args:
            features: the levels' maps (N, C, h, w).
            image_size: padded (height, width) of the batch.
        """
        levels = []
        for feature, cells, stride in zip(features, self.cells, self.strides, strict=True):
            height, width = feature.shape[-2:]
            stride_y, stride_x = stride, stride
            if self.stride_from_size:
                stride_y, stride_x = image_size[0] // height, image_size[1] // width
            y = torch.arange(height, device=cells.device) * stride_y
            x = torch.arange(width, device=cells.device) * stride_x
            grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
            centres = torch.stack([grid_x, grid_y, grid_x, grid_y], dim=-1).reshape(-1, 1, 4)
            levels.append((centres + cells).reshape(-1, 4))
        return levels
