"""Anchors: the reference boxes that the RPN scores and refines (Faster R-CNN section 3.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """(A, 4) boxes around the origin: for each ratio (height / width), each size (square root of the area)."""
    ratio = torch.tensor(ratios, dtype=torch.float32)[:, None]
    size = torch.tensor(sizes, dtype=torch.float32)[None, :]
    height = (size * ratio.sqrt()).flatten()
    width = (size / ratio.sqrt()).flatten()
    return torch.stack([-width, -height, width, height], dim=1) / 2


class Anchors(nn.Module):
    """All anchors of a pyramid.

    Args:
        sizes: per level, the sizes in input pixels.
        ratios: height / width.
        strides: of the levels, in input pixels.
    """

    cells: Tensor

    def __init__(self, sizes: Sequence[Sequence[float]], ratios: Sequence[float], strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)
        cells = torch.stack([cell_anchors(level, ratios) for level in sizes])
        self.register_buffer("cells", cells, persistent=False)  # (L, A, 4)

    @property
    def per_cell(self) -> int:
        """A, the number of anchors at each cell."""
        return self.cells.shape[1]

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Per level (h * w * A, 4) boxes in the `input` frame, in the order y, x, anchor.

        Cell (x, y) of a level is centred at (x, y) * stride, as in torchvision and detectron2.
        """
        levels = []
        for feature, cells, stride in zip(features, self.cells, self.strides, strict=True):
            height, width = feature.shape[-2:]
            y = torch.arange(height, device=cells.device) * stride
            x = torch.arange(width, device=cells.device) * stride
            grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
            centres = torch.stack([grid_x, grid_y, grid_x, grid_y], dim=-1).reshape(-1, 1, 4)
            levels.append((centres + cells).reshape(-1, 4))
        return levels
