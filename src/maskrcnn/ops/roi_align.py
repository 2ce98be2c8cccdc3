"""RoIAlign (Mask R-CNN section 3): the features of a box, bilinearly sampled at exact positions, nothing rounded.

Each box is divided into S x S bins, or as many a row and a column as wished for; a bin's value is the average (or
maximum) over a regular grid of samples, each interpolated from its four neighbouring cells. Samples more than one cell
outside the map count 0; those within one cell are moved to the edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from maskrcnn.kernels.places import in_places
from maskrcnn.kernels.triton_use import can_use_triton
from maskrcnn.kernels.weighted_sums import TrainableSums, trainable_sums
from maskrcnn.ops.roi_options import RoIAlignOptions, RoIOperator
from maskrcnn.ops.roi_samples import by_num_samples, neighbours, roi_bins
from maskrcnn.ways import Ways


def roi_align_reference(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """The definition, bin by bin and sample by sample."""
    starts, bins, counts = roi_bins(boxes, options)
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

    `embedding_bag` reads whole channels-last rows, which uses memory bandwidth best. The result is channels-last.
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
        starts, bins, counts = roi_bins(boxes[own], scaled)
        for samples, members in by_num_samples(counts, scaled):
            place = starts[members], bins[members], image_index[own[members]]
            rows, weights = neighbours(*place, samples, options.bins, features[level].shape[-2:])
            if options.reduce == "mean":
                weights = weights / max(1, math.prod(samples))
            tables.append(features[level].permute(0, 2, 3, 1).reshape(-1, features[level].shape[1]))
            bags.append(TrainableSums(rows, weights, _bins_of(own[members], math.prod(options.bins))))
    pooled = _largest(tables, bags) if options.reduce == "max" else trainable_sums(tables, bags)
    shape = boxes.shape[0], *options.bins, features[0].shape[1]
    return pooled.view(shape).permute(0, 3, 1, 2)


def _read_levels(levels: Tensor, num_levels: int) -> list[tuple[int, Tensor]]:
    """The levels that RoIs are read from, one at least, and which RoIs."""
    members = [(level, (levels == level).nonzero()[:, 0]) for level in range(num_levels)]
    return [(level, own) for level, own in members if own.shape[0]] or members[:1]


def _bins_of(rois: Tensor, bins: int) -> Tensor:
    """(R S S,) the numbers of the bins of RoIs (R,)."""
    return (rois[:, None] * bins + torch.arange(bins, device=rois.device)).flatten()


def _largest(tables: Sequence[Tensor], bins: Sequence[TrainableSums]) -> Tensor:
    """(B, C): of each bin the largest sample, made of four rows each."""
    largest = []
    for table, own in zip(tables, bins, strict=True):
        rows, weights = own.rows.view(-1, 4), own.weights.view(-1, 4)
        places = torch.arange(rows.shape[0], device=rows.device)
        samples = trainable_sums([table], [TrainableSums(rows, weights, places)])
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


ROI_ALIGN: Ways[RoIOperator] = Ways(reference=roi_align_reference, bags=roi_align_bags, triton=roi_align_triton)


def roi_align(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """Features (R, C, S, S) of R boxes, channels-last in memory.

    Args:
        features: (N, C, H, W), channels-last in memory for speed.
        boxes: (R, 4) x1, y1, x2, y2 in pixels.
        image_index: (R,) int64, the image 0..N-1 of each box.
        options: grid and sampling.
    """
    way = ROI_ALIGN.choose("triton" if _suits_triton(features, options) else "bags")
    return way(features, boxes, image_index, options)


def pool_levels_reference(
    features: Sequence[Tensor],
    boxes: Tensor,
    image_index: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    options: RoIAlignOptions,
) -> Tensor:
    """The definition: one level after the other."""
    return _pool_level_by_level(roi_align_reference, features, boxes, image_index, levels, scales, options)


def _pool_level_by_level(
    operator: RoIOperator,
    features: Sequence[Tensor],
    boxes: Tensor,
    image_index: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    options: RoIAlignOptions,
) -> Tensor:
    read = _read_levels(levels, len(scales))
    pooled = [
        operator(features[level], boxes[own], image_index[own], replace(options, spatial_scale=scales[level]))
        for level, own in read
    ]
    channels_last = [part.permute(0, 2, 3, 1) for part in pooled]
    return in_places([own for _, own in read], channels_last).permute(0, 3, 1, 2)


PoolLevels = Callable[[Sequence[Tensor], Tensor, Tensor, Tensor, Sequence[float], RoIAlignOptions], Tensor]

POOL_LEVELS: Ways[PoolLevels] = Ways(reference=pool_levels_reference, bags=pool_levels_bags, triton=pool_levels_triton)


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
    if operator is not roi_align:
        return _pool_level_by_level(operator, features, boxes, image_index, levels, scales, options)
    way = POOL_LEVELS.choose("triton" if _suits_triton(features[0], options) else "bags")
    return way(features, boxes, image_index, levels, scales, options)


def _suits_triton(features: Tensor, options: RoIAlignOptions) -> bool:
    return options.reduce == "mean" and can_use_triton(features)
