"""RoIAlign (Mask R-CNN section 3): the features of a box, bilinearly sampled at exact positions, nothing rounded.

Each box is divided into S x S bins, or as many a row and a column as wished for; a bin's value is the average (or
maximum) over a regular grid of samples, each interpolated from its four neighbouring cells. Samples more than one cell
outside the map count 0; those within one cell are moved to the edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from maskrcnn.kernels.bags import Bags, weighted_rows
from maskrcnn.kernels.triton_use import can_use_triton

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


def roi_align_reference(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """The definition, bin by bin and sample by sample."""
    starts, bins, counts = _bins(boxes, options)
    rows, columns = options.bins
    output = features.new_zeros((boxes.shape[0], features.shape[1], rows, columns))
    for r in range(boxes.shape[0]):
        feature = features[int(image_index[r])]
        count_y, count_x = counts[r].tolist()
        for by in range(rows):
            for bx in range(columns):
                samples = [
                    _interpolate(
                        feature,
                        starts[r, 1] + bins[r, 1] * (by + (iy + 0.5) / count_y),
                        starts[r, 0] + bins[r, 0] * (bx + (ix + 0.5) / count_x),
                    )
                    for iy in range(count_y)
                    for ix in range(count_x)
                ]
                if samples:
                    stacked = torch.stack(samples)
                    output[r, :, by, bx] = stacked.mean(0) if options.reduce == "mean" else stacked.amax(0)
    return output


def _interpolate(feature: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """(C,) the value of a map (C, H, W) at one position in cells."""
    height, width = feature.shape[-2:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return feature.new_zeros(feature.shape[0])
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    fy, fx = y - y0, x - x0
    top = feature[:, y0, x0] * (1 - fx) + feature[:, y0, x1] * fx
    bottom = feature[:, y1, x0] * (1 - fx) + feature[:, y1, x1] * fx
    return top * (1 - fy) + bottom * fy


def roi_align_bags(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """The same as weighted sums of table rows: a map is a table (N H W, C), a bin a bag of its samples' neighbours.

    `embedding_bag` reads whole channels-last rows, which is what memory is fast at. The result is channels-last.
    """
    levels = torch.zeros_like(image_index)
    return pool_levels_bags([features], boxes, image_index, levels, [options.spatial_scale], options)


def pool_levels_bags(
    features: Sequence[Tensor],
    boxes: Tensor,
    image_index: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    options: RoIAlignOptions,
) -> Tensor:
    """`pool_levels` of `roi_align_bags`: the tables of all levels in one go, each bin straight into its place."""
    tables, bags = [], []
    for level, own in _read_levels(levels, len(scales)):
        scaled = replace(options, spatial_scale=scales[level])
        starts, bins, counts = _bins(boxes[own], scaled)
        for samples, members in _members(counts, scaled):
            place = starts[members], bins[members], image_index[own[members]]
            rows, weights = _neighbours(*place, samples, options.bins, features[level].shape[-2:])
            if options.reduce == "mean":
                weights = weights / max(1, math.prod(samples))
            tables.append(features[level].permute(0, 2, 3, 1).reshape(-1, features[level].shape[1]))
            bags.append(Bags(rows, weights, _bins_of(own[members], math.prod(options.bins))))
    pooled = _largest(tables, bags) if options.reduce == "max" else weighted_rows(tables, bags)
    shape = boxes.shape[0], *options.bins, features[0].shape[1]
    return pooled.view(shape).permute(0, 3, 1, 2)


def _read_levels(levels: Tensor, num_levels: int) -> list[tuple[int, Tensor]]:
    """The levels that RoIs are read from, one at least, and which RoIs."""
    members = [(level, (levels == level).nonzero()[:, 0]) for level in range(num_levels)]
    return [(level, own) for level, own in members if own.shape[0]] or members[:1]


def _members(counts: Tensor, options: RoIAlignOptions) -> list[tuple[tuple[int, int], Tensor]]:
    """RoIs with the same number of samples go together: the numbers (y, x), and which RoIs have them."""
    if options.sampling_ratio > 0 or counts.shape[0] == 0:
        ratio = max(options.sampling_ratio, 1)
        return [((ratio, ratio), torch.arange(counts.shape[0], device=counts.device))]
    groups, group_of_roi = counts.unique(dim=0, return_inverse=True)
    return [((y, x), (group_of_roi == group).nonzero()[:, 0]) for group, (y, x) in enumerate(groups.tolist())]


def in_places(places: Sequence[Tensor], pieces: Sequence[Tensor]) -> Tensor:
    """(R, ...): every piece (R_i, ...) at its places (R_i,), which ascend, and together are 0..R-1."""
    if len(pieces) == 1:
        return pieces[0]
    whole: Tensor = _InPlaces.apply(len(places), *places, *pieces)
    return whole


class _InPlaces(torch.autograd.Function):
    """One pass over memory, and one for the gradient; `cat`, sorted by an index, takes two and three."""

    @staticmethod
    def forward(ctx: Any, num_pieces: int, *tensors: Tensor) -> Tensor:
        places, pieces = tensors[:num_pieces], tensors[num_pieces:]
        ctx.save_for_backward(*places)
        whole = pieces[0].new_empty((sum(piece.shape[0] for piece in pieces), *pieces[0].shape[1:]))
        for place, piece in zip(places, pieces, strict=True):
            whole.index_copy_(0, place, piece)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        places = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        return None, *(None for _ in places), *(gradient.index_select(0, place) for place in places)


def _bins(boxes: Tensor, options: RoIAlignOptions) -> tuple[Tensor, Tensor, Tensor]:
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


def _neighbours(
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


def _bins_of(rois: Tensor, bins: int) -> Tensor:
    """(R S S,) the numbers of the bins of RoIs (R,)."""
    return (rois[:, None] * bins + torch.arange(bins, device=rois.device)).flatten()


def _largest(tables: Sequence[Tensor], bins: Sequence[Bags]) -> Tensor:
    """(B, C): of each bin the largest sample, made of four rows each."""
    largest = []
    for table, own in zip(tables, bins, strict=True):
        rows, weights = own.rows.view(-1, 4), own.weights.view(-1, 4)
        samples = weighted_rows([table], [Bags(rows, weights, torch.arange(rows.shape[0], device=rows.device))])
        shape = own.rows.shape[0], own.rows.shape[1] // 4, table.shape[1]
        largest.append(samples.view(shape).amax(1) if shape[1] else samples.new_zeros((shape[0], shape[2])))
    return in_places([own.places for own in bins], largest)


def roi_align_triton(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """The same by kernels on a GPU, averages only. The result is channels-last, and gradients are always the same."""
    levels = torch.zeros_like(image_index)
    return pool_levels_triton([features], boxes, image_index, levels, [options.spatial_scale], options)


def pool_levels_triton(
    features: Sequence[Tensor],
    boxes: Tensor,
    image_index: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    options: RoIAlignOptions,
) -> Tensor:
    """`pool_levels` of `roi_align` by kernels on a GPU, all boxes at once; nothing waits for the host."""
    from maskrcnn.ops.triton import roi_align as triton_roi_align

    return triton_roi_align.roi_align_levels(features, boxes, image_index, levels, scales, options)


ROI_ALIGN: dict[str, RoIOperator] = {
    "reference": roi_align_reference,
    "bags": roi_align_bags,
    "triton": roi_align_triton,
}


def roi_align(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """Features (R, C, S, S) of R boxes, channels-last in memory.

    Args:
        features: (N, C, H, W), channels-last in memory for speed.
        boxes: (R, 4) x1, y1, x2, y2 in pixels.
        image_index: (R,) int64, the image 0..N-1 of each box.
        options: grid and sampling.
    """
    way = roi_align_triton if _suits_triton(features, options) else roi_align_bags
    return way(features, boxes, image_index, options)


def pool_levels(
    operator: RoIOperator,
    features: Sequence[Tensor],
    boxes: Tensor,
    image_index: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    options: RoIAlignOptions,
) -> Tensor:
    """Features (R, C, S, S), channels-last, of R boxes that are each read from one of several maps, in their order.

    Args:
        operator: `roi_align`, or what it is compared with.
        features: L or more maps (N, C, H, W).
        boxes: (R, 4) x1, y1, x2, y2 in pixels.
        image_index: (R,) int64, the image 0..N-1 of each box.
        levels: (R,) int64, the map 0..L-1 of each box.
        scales: of the L maps, cells per pixel; they stand in for `options.spatial_scale`.
        options: grid and sampling.
    """
    features = features[: len(scales)]
    if operator is roi_align:
        way = pool_levels_triton if _suits_triton(features[0], options) else pool_levels_bags
        return way(features, boxes, image_index, levels, scales, options)
    read = _read_levels(levels, len(scales))
    pooled = [
        operator(features[level], boxes[own], image_index[own], replace(options, spatial_scale=scales[level]))
        for level, own in read
    ]
    channels_last = [piece.permute(0, 2, 3, 1) for piece in pooled]
    return in_places([own for _, own in read], channels_last).permute(0, 3, 1, 2)


def _suits_triton(features: Tensor, options: RoIAlignOptions) -> bool:
    return options.reduce == "mean" and can_use_triton(features)
