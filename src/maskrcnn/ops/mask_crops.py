"""Mask targets: the part of each object's mask that lies in an RoI, averaged to m x m (Mask R-CNN section 3).

The target is RoIAlign of the object's full-frame bitmap. RoIAlign's average is separable: with the bilinear weights of
a bin's samples collected per row and per column of pixels, a target is (row weights) x (pixels) x (column weights).
Only pixels in both the RoI and the object's window enter, so no full-frame bitmap is ever made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.ops.roi_align import roi_align_reference
from maskrcnn.ops.roi_options import RoIAlignOptions
from maskrcnn.structures import PackedMasks
from maskrcnn.ways import Ways

_MAX_PIXELS = 1 << 22
"""Pixels (as float32) that are worked on at once: 16 MiB."""

_SMALL_SIDE = 32
"""Windows up to this side all count as similar."""


def crop_masks_reference(masks: PackedMasks, boxes: Tensor, indices: Tensor, options: RoIAlignOptions) -> Tensor:
    """The definition: RoIAlign of the full-frame bitmaps, sample by sample."""
    bitmaps = masks.bitmaps()[:, None].to(boxes.dtype)
    return roi_align_reference(bitmaps, boxes, indices, options)[:, 0]


def crop_masks_separable(masks: PackedMasks, boxes: Tensor, indices: Tensor, options: RoIAlignOptions) -> Tensor:
    """The same as two matrix products per RoI, many RoIs at once."""
    targets = boxes.new_zeros((boxes.shape[0], *options.bins))
    height, width = masks.image_size
    windows = _shared_windows(masks.windows[indices], boxes)
    for members, (rows, columns) in _groups(windows):
        x_extents, y_extents = boxes[members, 0::2], boxes[members, 1::2]
        x_spans, y_spans = windows[members, 0::2], windows[members, 1::2]
        y_weights = _axis_weights(y_extents, y_spans, rows, height, options.bins[0], options)
        x_weights = _axis_weights(x_extents, x_spans, columns, width, options.bins[1], options)
        pixels = _read(masks, indices[members], windows[members], rows, columns)
        targets[members] = y_weights @ pixels.to(boxes.dtype) @ x_weights.transpose(1, 2)
    return targets


def _shared_windows(windows: Tensor, boxes: Tensor) -> Tensor:
    """(R, 4) int64 the part of each object's window that samples of its box can touch; sides are 0 if none."""
    # Two pixels of margin: the samples' neighbours, half a pixel of alignment, and the least side of unaligned RoIs.
    low = torch.minimum(boxes[:, :2], boxes[:, 2:]).nan_to_num().floor() - 2
    high = torch.maximum(boxes[:, :2], boxes[:, 2:]).nan_to_num().ceil() + 2
    starts = torch.maximum(low.clamp(min=0).to(torch.int64), windows[:, :2])
    stops = torch.minimum(high.clamp(max=1 << 40).to(torch.int64), windows[:, 2:])
    return torch.cat([starts, torch.maximum(starts, stops)], dim=1)


def _groups(windows: Tensor) -> Iterator[tuple[Tensor, tuple[int, int]]]:
    """RoIs (n,) int64 with windows of similar size, and the rows and columns that hold each of them.

    Similar: equal when rounded up to a power of two. RoIs without a pixel are in no group.
    """
    sides = windows[:, 2:] - windows[:, :2]
    occupied = (sides > 0).all(dim=1).nonzero()[:, 0]
    powers = sides[occupied].clamp(min=_SMALL_SIDE).double().log2().ceil()
    kinds, kind_of_roi = powers.unique(dim=0, return_inverse=True)
    for kind in range(kinds.shape[0]):
        members = occupied[kind_of_roi == kind]
        columns, rows = sides[members].amax(dim=0).tolist()
        for part in members.split(max(_MAX_PIXELS // (rows * columns), 1)):
            yield part, (rows, columns)


def _axis_weights(
    extents: Tensor, spans: Tensor, length: int, limit: int, size: int, options: RoIAlignOptions
) -> Tensor:
    """(n, S, length) the weight of each pixel row (or column) in each bin along one axis.

    Args:
        extents: (n, 2) low and high edge of each box, pixels.
        spans: (n, 2) int64 first pixel, and one past the last, that can hold mask; the first is pixel 0 of the result.
        length: pixels in the result.
        limit: pixels of the frame along this axis.
        size: S, the number of bins along this axis.
        options: number of samples.
    """
    start, bin_side, counts = _bins(extents, size, options)
    sample = torch.arange(max(int(counts.max()), 1), dtype=extents.dtype, device=extents.device)
    fraction = (sample + 0.5) / counts.clamp(min=1)[:, None]  # (n, samples)
    bins = torch.arange(size, device=extents.device)[:, None]
    position = start[:, None, None] + bin_side[:, None, None] * (bins + fraction[:, None])  # (n, S, samples)
    # RoIAlign's rule at the border: 0 beyond one pixel outside, the edge pixel's value up to there.
    counted = (sample < counts[:, None])[:, None] & (position >= -1) & (position <= limit)
    share = counted / counts.clamp(min=1)[:, None, None]
    position = position.nan_to_num().clamp(0, limit - 1)
    low = position.floor()
    weights = torch.cat([(low + 1 - position) * share, (position - low) * share], dim=2)
    pixel = torch.cat([low, (low + 1).clamp(max=limit - 1)], dim=2).to(torch.int64)
    first, stop = spans[:, :1, None], spans[:, 1:, None]
    # Pixels that hold no mask are dropped: one extra place collects their weights.
    place = torch.where((pixel >= first) & (pixel < stop), pixel - first, length)
    return extents.new_zeros((extents.shape[0], size, length + 1)).scatter_add_(2, place, weights)[:, :, :length]


def _bins(extents: Tensor, size: int, options: RoIAlignOptions) -> tuple[Tensor, Tensor, Tensor]:
    """Where the bins start (n,), their side (n,), in pixels, and their samples (n,), floating, on one axis."""
    start, stop = (extents - (0.5 if options.aligned else 0.0)).unbind(1)
    side = stop - start
    if not options.aligned:  # the original version has no RoI below one pixel
        side = side.clamp(min=1)
    if options.sampling_ratio > 0:
        counts = torch.full_like(start, options.sampling_ratio)
    else:
        counts = (side / size).nan_to_num(0, 0, 0).ceil().clamp(min=0)
    return start, side / size, counts


def _read(masks: PackedMasks, indices: Tensor, windows: Tensor, rows: int, columns: int) -> Tensor:
    """(n, rows, columns) uint8 pixels of objects `indices` from the corners of `windows`.

    Only what lies inside `windows` is meant to be used; the rest is whatever follows in memory, which is cheaper than
    to write zeros there.
    """
    x1, y1, _, y2 = windows.unbind(1)
    own_x1, own_y1, own_x2, _ = masks.windows[indices].unbind(1)
    y = torch.minimum(y1[:, None] + torch.arange(rows, device=y1.device), y2[:, None] - 1)
    row_starts = (
        masks.offsets[indices, None] + (y - own_y1[:, None]) * (own_x2 - own_x1)[:, None] + (x1 - own_x1)[:, None]
    )
    padded = F.pad(masks.pixels, (0, columns))
    return padded.unfold(0, columns, 1)[row_starts]  # a view of all pieces of `columns` pixels, then a copy of ours


CROP_MASKS: Ways[Callable[[PackedMasks, Tensor, Tensor, RoIAlignOptions], Tensor]] = Ways(
    reference=crop_masks_reference, separable=crop_masks_separable
)


def crop_masks(
    masks: PackedMasks, boxes: Tensor, indices: Tensor, size: int | tuple[int, int], aligned: bool = True
) -> Tensor:
    """Mask targets (R, m, m) float32 in [0, 1], with so many samples that every pixel counts.

    Args:
        masks: the objects of one image.
        boxes: (R, 4) RoIs x1, y1, x2, y2, pixels, in the masks' frame and about its size at most.
        indices: (R,) int64, the object of each RoI.
        size: m, pixels a side of the target, or its (height, width).
        aligned: pixel centres lie at half-integers (True), or the RoI is taken half a pixel too far right and down.
    """
    options = RoIAlignOptions(size, sampling_ratio=0, aligned=aligned)
    with torch.autocast(boxes.device.type, enabled=False):  # its matrix products would round the targets to bf16
        return CROP_MASKS.choose("separable")(masks, boxes.float(), indices, options)
