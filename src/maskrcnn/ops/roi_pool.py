"""RoIPool (Fast R-CNN section 2.1): the largest value in each bin of a box that has been moved to whole cells.

It rounds twice, the box and then its bins. Both make it uncertain where things are, which is why Mask R-CNN has
RoIAlign instead (section 3). There are two rules:

- "nearest", as published: the corners go to the nearest cells, and the last cell counts; each bin grows outwards to
  whole cells, so that neighbouring bins overlap. A box of 665 pixels at stride 32 (20.78 cells) becomes 22 cells wide,
  and each of 7 bins (3.14 cells) becomes 4.
- "floor", as it is often explained: what lies behind the decimal point is cut off the box's first corner, its sides and
  those of its bins. The same box becomes 20 cells wide and each bin (2.86 cells) 2; the rest of it is not read.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maskrcnn.ops.roi_options import RoIAlignOptions, RoIOperator, Rounding
from maskrcnn.ways import Ways


def round_boxes(boxes: Tensor, spatial_scale: float, rounding: Rounding = "nearest") -> Tensor:
    """(R, 4) x1, y1, x2, y2 in whole cells, half open; at least one cell a side.

    "nearest": the corners are rounded, halves away from zero, and the last cell counts: a box of 32 pixels at stride 16
    becomes 3 cells wide. Published models of this kind were trained so. "floor": the first corner and the side are cut
    off.
    """
    corners = boxes * spatial_scale
    if rounding == "floor":
        first = corners[:, :2].floor()
        return torch.cat([first, first + (corners[:, 2:] - corners[:, :2]).floor().clamp(min=1)], dim=1)
    whole = corners.trunc()
    corners = torch.where((corners - whole).abs() >= 0.5, whole + corners.sign(), whole)
    return torch.cat([corners[:, :2], torch.maximum(corners[:, 2:], corners[:, :2]) + 1], dim=1)


def roi_pool_bins(boxes: Tensor, options: RoIAlignOptions, height: int, width: int) -> tuple[Bins, Bins]:
    """The columns and the rows of bins; each bin is whole cells inside the map, and may have none."""
    cells = round_boxes(boxes, options.spatial_scale, options.rounding)
    rows, columns = options.bins
    return (
        _bins(cells[:, 0], cells[:, 2], columns, width, options.rounding),
        _bins(cells[:, 1], cells[:, 3], rows, height, options.rounding),
    )


@dataclass(frozen=True)
class Bins:
    """First cells and ends (R, S) of the bins along one axis, int64, half open."""

    starts: Tensor
    ends: Tensor


def _bins(first: Tensor, end: Tensor, size: int, limit: int, rounding: Rounding) -> Bins:
    """`size` bins of boxes that reach from one cell to another (R,), cut to the map's `limit` cells."""
    step = torch.arange(size, device=first.device)
    side = ((end - first) / size)[:, None]
    if rounding == "floor":
        side = torch.where(side >= 1, side.floor(), side)
        starts = (step * side).floor()
        ends = starts + side.clamp(min=1)  # of a box with fewer cells than bins, some cells are read twice
    else:
        starts, ends = (step * side).floor(), ((step + 1) * side).ceil()
    starts, ends = ((first[:, None] + edge).clamp(min=0, max=limit).to(torch.int64) for edge in (starts, ends))
    return Bins(starts, ends)


def roi_pool_reference(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """The definition, bin by bin."""
    rows, columns = options.bins
    output = features.new_zeros((boxes.shape[0], features.shape[1], rows, columns))
    x, y = roi_pool_bins(boxes, options, *features.shape[-2:])
    for r in range(boxes.shape[0]):
        for by in range(rows):
            for bx in range(columns):
                down = slice(int(y.starts[r, by]), int(y.ends[r, by]))
                across = slice(int(x.starts[r, bx]), int(x.ends[r, bx]))
                window = features[int(image_index[r]), :, down, across].flatten(1)
                if window.numel():
                    output[r, :, by, bx] = window.max(dim=1).values  # the first of equal ones gets the gradient
    return output


def roi_pool_tables(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """The same by asking tables of range maxima where each bin is largest, and gathering those cells.

    A map is a table (N H W, C) that is read by whole rows. The result is channels-last.
    """
    (rows, columns), (_, channels, height, width) = options.bins, features.shape
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    x, y = roi_pool_bins(boxes, options, height, width)
    left, top = x.starts[:, None, :], y.starts[:, :, None] + image_index[:, None, None] * height
    across, down = (x.ends - x.starts)[:, None, :], (y.ends - y.starts)[:, :, None]
    first = (top * width + left).flatten()  # (R S S,): the table's row of each bin's first cell
    sides = torch.stack([edge.expand(-1, rows, columns).flatten() for edge in (across, down)], dim=1)
    occupied = (sides > 0).all(dim=1).nonzero()[:, 0]
    peaks = _peaks(table.detach(), width, first[occupied], sides[occupied])
    pooled = table.new_zeros((first.shape[0], channels)).index_copy(0, occupied, table.gather(0, peaks))
    return pooled.view(-1, rows, columns, channels).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class _Peaks:
    """For each entry and channel the largest value of some cells, and that cell's row in the table; (..., C) both."""

    values: Tensor
    cells: Tensor

    def or_larger(self, other: _Peaks) -> _Peaks:
        """Entry by entry the larger; of equal ones the earlier cell, as a scan row by row would find."""
        wins = (other.values > self.values) | ((other.values == self.values) & (other.cells < self.cells))
        return _Peaks(torch.where(wins, other.values, self.values), torch.where(wins, other.cells, self.cells))

    def doubled(self, step: int) -> _Peaks:
        """Each joined with the entry `step` rows on; beyond the map's end they mean nothing and are not read."""
        return self.or_larger(_Peaks(self.values.roll(-step, 0), self.cells.roll(-step, 0)))

    def at(self, rows: Tensor) -> _Peaks:
        """Some of the entries."""
        return _Peaks(self.values[rows], self.cells[rows])


def _peaks(table: Tensor, width: int, first: Tensor, sides: Tensor) -> Tensor:
    """The rows (B, C) of the table where each channel is largest in each of B rectangles of cells.

    A table of range maxima holds at every cell the peak of the 2^i x 2^j cells from there on; it is made from the
    one before by one comparison. Four such rectangles, laid into the corners, cover a bin of any size.

    Args:
        table: (N H W, C), the cells of the maps.
        width: of a map.
        first: (B,) the row of each rectangle's first cell.
        sides: (B, 2) its width and height, at least 1.
    """
    found = first.new_zeros((first.shape[0], table.shape[1]))
    exponents = torch.frexp(sides.float()).exponent - 1  # floor(log2(side))
    rows = torch.arange(table.shape[0], device=table.device)[:, None].expand_as(table)
    taller = _Peaks(table, rows)
    for i in range(_count(exponents[:, 1])):
        taller = taller.doubled(2 ** (i - 1) * width) if i else taller
        wider = taller
        for j in range(_count(exponents[:, 0])):
            wider = wider.doubled(2 ** (j - 1)) if j else wider
            members = ((exponents[:, 0] == j) & (exponents[:, 1] == i)).nonzero()[:, 0]
            across, down = (sides[members] - sides.new_tensor([2**j, 2**i])).unbind(1)
            best = wider.at(first[members])
            for step in (across, down * width, down * width + across):
                best = best.or_larger(wider.at(first[members] + step))
            found[members] = best.cells
    return found


def _count(exponents: Tensor) -> int:
    return int(exponents.amax()) + 1 if exponents.shape[0] else 0


ROI_POOL: Ways[RoIOperator] = Ways(reference=roi_pool_reference, tables=roi_pool_tables)


def roi_pool(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """Features (R, C, S, S) of R boxes, channels-last in memory; an empty bin is 0.

    Args:
        features: (N, C, H, W), channels-last in memory for speed.
        boxes: (R, 4) x1, y1, x2, y2 in pixels.
        image_index: (R,) int64, the image 0..N-1 of each box.
        options: size and scale; there are no samples to choose or to average.
    """
    return ROI_POOL.choose("tables")(features, boxes, image_index, options)
