"""RoIAlign on a GPU: one launch for every map of a pyramid, for the boxes of all images, forward and backward.

A box names the map that it is read from, and the launches for the others pass it by, so that nothing is sorted by map
and the host waits for nothing. Sums are float32, or float64 for float64 maps.

Backward, every cell gathers from the boxes that read it, in their order. Scattering (`atomicAdd`, as others do) would
add in another order each time; this gives the same bits each time, and writes each cell once, in the map's own type.

Imported by `ops.roi_align` when it is needed: Triton belongs to PyTorch's CUDA builds for Linux, and to no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from maskrcnn.ops.roi_options import RoIAlignOptions

CHANNELS = 256
"""Channels of a program of the forward kernel: 8 for each thread of a warp, 16 bytes of bfloat16."""
SAMPLES = 4
"""Samples of a bin that are read at a time: all of the usual 2 x 2."""
TILE = 4
"""Side of the tile of cells that a program of the backward kernel fills."""
TILE_CHANNELS = 64
BINS = 32
"""Bins that go through one matrix product; more take more registers than a thread has."""
BOXES = 128
"""Boxes that are looked at together: does one touch the tile?"""


@triton.jit
def _axis(
    boxes: tl.tensor,
    roi: tl.tensor,
    present: tl.tensor,
    axis: tl.constexpr,  # 0 is x, 1 is y
    scale: float,
    size: tl.constexpr,
    ratio: tl.constexpr,
    aligned: tl.constexpr,
) -> tl.tensor:
    """Where boxes begin, the side of their bins, in cells, and the samples per bin: as in `roi_samples.roi_bins`."""
    shift: tl.constexpr = 0.5 if aligned else 0.0
    start = tl.load(boxes + 4 * roi + axis, present, other=0.0) * scale - shift
    end = tl.load(boxes + 4 * roi + axis + 2, present, other=0.0) * scale - shift
    side = end - start if aligned else tl.maximum(end - start, 1.0)
    # "/" is approximate in float32, and 14 / 7 must not need three samples.
    step = tl.div_rn(side, tl.cast(size, tl.float32)) if side.dtype == tl.float32 else side / size
    count = tl.full(step.shape, ratio, tl.int32) if ratio > 0 else tl.maximum(tl.ceil(step), 0.0).to(tl.int32)
    return start, step, count


@triton.jit
def _cells(start: tl.tensor, step: tl.tensor, sample: tl.tensor, count: tl.tensor, limit: int) -> tl.tensor:
    """The cells below and above samples along one axis, the weight of the one above, and which samples count."""
    position = start + step * (sample + 0.5) / count
    inside = (position >= -1) & (position <= limit)
    position = tl.minimum(tl.maximum(tl.where(inside, position, 0.0), 0.0), limit - 1)
    low = position.to(tl.int32)
    return low, tl.minimum(low + 1, limit - 1), position - low, inside


@triton.jit(do_not_specialize=["level", "height", "width"])
def _forward(
    table: tl.tensor,  # (N, H, W, C)
    boxes: tl.tensor,  # (R, 4)
    image_index: tl.tensor,  # (R,)
    levels: tl.tensor,  # (R,)
    output: tl.tensor,  # (R, S, S, C)
    level: int,
    scale: float,
    height: int,
    width: int,
    channels: int,
    size_y: tl.constexpr,
    size_x: tl.constexpr,
    ratio: tl.constexpr,
    aligned: tl.constexpr,
    sum_type: tl.constexpr,
    samples: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """One bin of one box, if the box belongs to this level."""
    index = tl.program_id(0).to(tl.int64)
    roi, row, column = index // (size_y * size_x), index // size_x % size_y, index % size_x
    if tl.load(levels + roi) != level:
        return
    channel = tl.program_id(1) * block + tl.arange(0, block)
    table += tl.load(image_index + roi) * height * width * channels + channel[None, :]
    y_start, y_step, y_count = _axis(boxes, roi, True, 1, scale, size_y, ratio, aligned)
    x_start, x_step, x_count = _axis(boxes, roi, True, 0, scale, size_x, ratio, aligned)
    count = y_count * x_count
    total = tl.zeros([block], sum_type)
    for first in range(0, count, samples):
        sample = first + tl.arange(0, samples)
        top, bottom, fy, y_inside = _cells(y_start, y_step, row * y_count + sample // x_count, y_count, height)
        left, right, fx, x_inside = _cells(x_start, x_step, column * x_count + sample % x_count, x_count, width)
        mask = ((sample < count) & y_inside & x_inside)[:, None] & (channel < channels)[None, :]
        top_left = tl.load(table + ((top * width + left) * channels)[:, None], mask, other=0.0)
        top_right = tl.load(table + ((top * width + right) * channels)[:, None], mask, other=0.0)
        bottom_left = tl.load(table + ((bottom * width + left) * channels)[:, None], mask, other=0.0)
        bottom_right = tl.load(table + ((bottom * width + right) * channels)[:, None], mask, other=0.0)
        upper = top_left.to(sum_type) * (1 - fx)[:, None] + top_right.to(sum_type) * fx[:, None]
        lower = bottom_left.to(sum_type) * (1 - fx)[:, None] + bottom_right.to(sum_type) * fx[:, None]
        total += tl.sum(upper * (1 - fy)[:, None] + lower * fy[:, None], axis=0)
    total = total / tl.maximum(count, 1)
    tl.store(output + index * channels + channel, total.to(output.dtype.element_ty), channel < channels)


@triton.jit
def _touches(start: tl.tensor, end: tl.tensor, first: tl.tensor, tile: tl.constexpr, limit: int) -> tl.tensor:
    """Whether samples between two positions may read one of the cells from `first` on; a box may be reversed."""
    low = tl.minimum(tl.maximum(tl.minimum(start, end), 0.0), limit - 1)
    high = tl.minimum(tl.maximum(tl.maximum(start, end), 0.0), limit - 1)
    return (low < first + tile) & (high > first - 1)


@triton.jit
def _weights(
    cell: tl.tensor, place: tl.tensor, start: tl.tensor, step: tl.tensor, count: tl.tensor, limit: int
) -> tl.tensor:
    """What each cell weighs in the bin at each place along one axis: a sample is a tent, one cell to either side."""
    total = (cell + place).to(start.dtype) * 0
    for sample in range(count):
        position = start + step * (place * count + sample + 0.5) / count
        inside = (position >= -1) & (position <= limit)
        position = tl.minimum(tl.maximum(position, 0.0), limit - 1)
        total += tl.where(inside, tl.maximum(1 - tl.abs(cell - position), 0.0), 0.0)
    return total


@triton.jit
def _gather(
    gradient: tl.tensor,
    boxes: tl.tensor,
    roi: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    channel: tl.tensor,
    scale: float,
    height: int,
    width: int,
    channels: int,
    size_y: tl.constexpr,
    size_x: tl.constexpr,
    ratio: tl.constexpr,
    aligned: tl.constexpr,
    sum_type: tl.constexpr,
    bins: tl.constexpr,
) -> tl.tensor:
    """What one box gives to a tile of cells, as the product (cells, bins) x (bins, channels)."""
    y_start, y_step, y_count = _axis(boxes, roi, True, 1, scale, size_y, ratio, aligned)
    x_start, x_step, x_count = _axis(boxes, roi, True, 0, scale, size_x, ratio, aligned)
    gradient += roi.to(tl.int64) * (size_y * size_x) * channels
    total = tl.zeros([y.shape[0], channel.shape[0]], sum_type)
    for first in range(0, size_y * size_x, bins):
        index = first + tl.arange(0, bins)
        weights = _weights(y[:, None], (index // size_x)[None, :], y_start, y_step, y_count, height)
        weights *= _weights(x[:, None], (index % size_x)[None, :], x_start, x_step, x_count, width)
        weights = weights / tl.maximum(y_count * x_count, 1)
        read = (index < size_y * size_x) & (tl.max(weights, axis=0) > 0)
        rows = gradient + index[:, None] * channels + channel[None, :]
        values = tl.load(rows, read[:, None] & (channel < channels)[None, :], other=0.0)
        total += tl.dot(weights, values.to(sum_type), input_precision="ieee")
    return total


@triton.jit(do_not_specialize=["num_boxes", "level", "height", "width"])
def _backward(
    gradient: tl.tensor,  # (R, S, S, C)
    boxes: tl.tensor,  # (R, 4)
    image_index: tl.tensor,  # (R,)
    levels: tl.tensor,  # (R,)
    output: tl.tensor,  # (N, H, W, C)
    num_boxes: int,
    level: int,
    scale: float,
    height: int,
    width: int,
    channels: int,
    size_y: tl.constexpr,
    size_x: tl.constexpr,
    ratio: tl.constexpr,
    aligned: tl.constexpr,
    sum_type: tl.constexpr,
    tile: tl.constexpr,
    block: tl.constexpr,
    bins: tl.constexpr,
    chunk: tl.constexpr,
) -> None:
    """A tile of cells: first which boxes touch it, many at a time, then one after the other."""
    across = (width + tile - 1) // tile
    y_first, x_first = tl.program_id(0) // across * tile, tl.program_id(0) % across * tile
    image = tl.program_id(2).to(tl.int64)
    cell, channel = tl.arange(0, tile * tile), tl.program_id(1) * block + tl.arange(0, block)
    y, x = y_first + cell // tile, x_first + cell % tile
    total = tl.zeros([tile * tile, block], sum_type)
    for first in range(0, num_boxes, chunk):
        roi = first + tl.arange(0, chunk)
        present = roi < num_boxes
        waits = tl.load(levels + roi, present, other=-1) == level  # absent ones are on no level
        waits &= tl.load(image_index + roi, present, other=-1) == image
        start, step, _ = _axis(boxes, roi, present, 1, scale, size_y, ratio, aligned)
        waits &= _touches(start, start + step * size_y, y_first, tile, height)
        start, step, _ = _axis(boxes, roi, present, 0, scale, size_x, ratio, aligned)
        waits &= _touches(start, start + step * size_x, x_first, tile, width)
        nearest = tl.min(tl.where(waits, roi, num_boxes), axis=0)
        while nearest < num_boxes:
            total += _gather(
                gradient, boxes, nearest, y, x, channel, scale, height, width, channels,
                size_y, size_x, ratio, aligned, sum_type, bins,
            )  # fmt: skip
            nearest = tl.min(tl.where(waits & (roi > nearest), roi, num_boxes), axis=0)
    output += ((image * height + y) * width + x)[:, None] * channels + channel[None, :]
    mask = ((y < height) & (x < width))[:, None] & (channel < channels)[None, :]
    tl.store(output, total.to(output.dtype.element_ty), mask)


class _RoIAlign(torch.autograd.Function):
    """Both kernels, launched level by level."""

    @staticmethod
    def forward(
        ctx: Any,
        boxes: Tensor,
        image_index: Tensor,
        levels: Tensor,
        scales: Sequence[float],
        options: RoIAlignOptions,
        *features: Tensor,
    ) -> Tensor:
        tables = [feature.permute(0, 2, 3, 1).contiguous() for feature in features]
        channels, (rows, columns) = tables[0].shape[3], options.bins
        block = min(triton.next_power_of_2(channels), CHANNELS)
        grid = boxes.shape[0] * rows * columns, triton.cdiv(channels, block)
        output = tables[0].new_empty((boxes.shape[0], rows, columns, channels))
        constants = _constants(options, output.dtype)
        for level, (table, scale) in enumerate(zip(tables, scales, strict=True)):
            _forward[grid](
                table, boxes, image_index, levels, output, level, scale, *table.shape[1:],
                *constants, SAMPLES, block, num_warps=1,
            )  # fmt: skip
        ctx.save_for_backward(boxes, image_index, levels)
        ctx.scales, ctx.options, ctx.shapes = scales, options, [table.shape for table in tables]
        return output.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        boxes, image_index, levels = ctx.saved_tensors
        gradient = gradient.permute(0, 2, 3, 1).contiguous()
        constants = _constants(ctx.options, gradient.dtype)
        results: list[Tensor | None] = [None] * 5
        for level, (shape, scale) in enumerate(zip(ctx.shapes, ctx.scales, strict=True)):
            if not ctx.needs_input_grad[5 + level]:
                results.append(None)
                continue
            images, height, width, channels = shape
            table = gradient.new_empty(shape)
            block = min(max(triton.next_power_of_2(channels), 16), TILE_CHANNELS)
            tiles = triton.cdiv(height, TILE) * triton.cdiv(width, TILE)
            _backward[(tiles, triton.cdiv(channels, block), images)](
                gradient, boxes, image_index, levels, table, boxes.shape[0], level, scale, height, width, channels,
                *constants, TILE, block, BINS, BOXES, num_warps=8,
            )  # fmt: skip
            results.append(table.permute(0, 3, 1, 2))
        return tuple(results)


def _constants(options: RoIAlignOptions, dtype: torch.dtype) -> tuple[int, int, int, bool, Any]:
    """What the kernels are compiled for: grid, samples, alignment, and the type of their sums."""
    sum_type = tl.float64 if dtype == torch.float64 else tl.float32
    return *options.bins, max(options.sampling_ratio, 0), options.aligned, sum_type


def roi_align_levels(
    features: Sequence[Tensor],
    boxes: Tensor,
    image_index: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    options: RoIAlignOptions,
) -> Tensor:
    """`maskrcnn.ops.roi_align.pool_levels` on a GPU, for averages."""
    if options.reduce != "mean":
        raise ValueError(f"the kernels average the samples of a bin; reduce={options.reduce!r} takes another way")
    boxes = boxes.to(torch.float64 if features[0].dtype == torch.float64 else torch.float32).contiguous()
    with torch.cuda.device_of(boxes):
        result: Tensor = _RoIAlign.apply(boxes, image_index, levels, tuple(scales), options, *features)
    return result
