"""Where RoIAlign samples: the bins of a box, the samples in a bin, and the cells that a sample is interpolated from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from maskrcnn.ops.roi_options import RoIAlignOptions


def roi_bins(boxes: Tensor, options: RoIAlignOptions) -> tuple[Tensor, Tensor, Tensor]:
    """Top-left corners (R, 2) and bin sides (R, 2) as (x, y) in cells, and sample counts (R, 2) as (y, x)."""
    boxes = boxes * options.spatial_scale - (0.5 if options.aligned else 0.0)
    sides = boxes[:, 2:] - boxes[:, :2]
    if not options.aligned:  # the original version has no RoI below one cell
        sides = sides.clamp(min=1)
    rows, columns = options.bins
    bin_sides = torch.stack([sides[:, 0] / columns, sides[:, 1] / rows], dim=1)
    if options.sampling_ratio > 0:
        counts = torch.full_like(boxes[:, :2], options.sampling_ratio, dtype=torch.int64)
    else:
        counts = bin_sides.ceil().to(torch.int64).clamp(min=0).flip(1)
    return boxes[:, :2], bin_sides, counts


def by_num_samples(counts: Tensor, options: RoIAlignOptions) -> list[tuple[tuple[int, int], Tensor]]:
    """RoIs with the same number of samples go together: the numbers (y, x), and which RoIs have them."""
    if options.sampling_ratio > 0 or counts.shape[0] == 0:
        ratio = max(options.sampling_ratio, 1)
        return [((ratio, ratio), torch.arange(counts.shape[0], device=counts.device))]
    groups, group_of_roi = counts.unique(dim=0, return_inverse=True)
    return [((y, x), (group_of_roi == group).nonzero()[:, 0]) for group, (y, x) in enumerate(groups.tolist())]


def _axis(start: Tensor, bin_side: Tensor, count: int, size: int, limit: int) -> tuple[Tensor, Tensor]:
    """Cells (R, S, count, 2) below and above every sample along one axis, and their weights."""
    steps = torch.arange(size * count, device=start.device, dtype=start.dtype)
    position = start[:, None] + bin_side[:, None] * ((steps + 0.5) / count)  # (R, S * count)
    inside = (position >= -1) & (position <= limit)
    position = position.clamp(0, limit - 1)
    low = position.floor()
    fraction = position - low
    cells = torch.stack([low, (low + 1).clamp(max=limit - 1)], dim=-1)
    weights = torch.stack([1 - fraction, fraction], dim=-1) * inside[..., None]
    shape = (start.shape[0], size, count, 2)
    return cells.to(torch.int64).view(shape), weights.view(shape)


def neighbours(
    starts: Tensor,
    bins: Tensor,
    image_index: Tensor,
    counts: tuple[int, int],
    size: tuple[int, int],
    hw: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Table rows and weights (R S S, samples * 4) of every bin; separable, so made from two axes."""
    height, width = hw
    y_cells, y_weights = _axis(starts[:, 1], bins[:, 1], counts[0], size[0], height)
    x_cells, x_weights = _axis(starts[:, 0], bins[:, 0], counts[1], size[1], width)
    y_rows = (image_index[:, None, None, None] * height + y_cells) * width

    def every_pair(of_y: Tensor, of_x: Tensor) -> tuple[Tensor, Tensor]:
        """(R, S, 1, samples * 4) and (R, 1, S, samples * 4): long rows, since short ones are slow to combine."""
        samples = (*counts, 2, 2)
        along_y = of_y[:, :, :, None, :, None].expand(starts.shape[0], size[0], *samples).flatten(2)
        along_x = of_x[:, :, None, :, None, :].expand(starts.shape[0], size[1], *samples).flatten(2)
        return along_y[:, :, None], along_x[:, None]

    rows, weights = torch.add(*every_pair(y_rows, x_cells)), torch.mul(*every_pair(y_weights, x_weights))
    shape = (starts.shape[0] * math.prod(size), math.prod(counts) * 4)
    return rows.view(shape), weights.view(shape)
