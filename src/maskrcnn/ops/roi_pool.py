"""RoIPool (Fast R-CNN section 2.1): the largest value in each bin of a box that has been moved to whole cells.

It rounds twice: the box's corners to the nearest cells, and each bin outwards to whole cells, so that neighbouring
bins overlap. Both make it uncertain where things are, which is why Mask R-CNN has RoIAlign instead (section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from maskrcnn.ops.roi_align import RoIAlignOptions, RoIOperator


def round_boxes(boxes: Tensor, spatial_scale: float) -> Tensor:
    """(R, 4) x1, y1, x2, y2 in whole cells, half open; at least one cell a side.

    The corners are rounded, halves away from zero, and the last cell counts: a box of 32 pixels at stride 16 becomes
    3 cells wide. Published models of this kind were trained so.
    """
    corners = boxes * spatial_scale
    whole = corners.trunc()
    corners = torch.where((corners - whole).abs() >= 0.5, whole + corners.sign(), whole)
    return torch.cat([corners[:, :2], torch.maximum(corners[:, 2:], corners[:, :2]) + 1], dim=1)


def roi_pool_bins(boxes: Tensor, options: RoIAlignOptions, height: int, width: int) -> tuple[Tensor, Tensor]:
    """First cells and ends (R, 2, S) of the bins along x and y, int64, half open, inside the map; may be empty."""
    cells = round_boxes(boxes, options.spatial_scale)
    step = torch.arange(options.output_size, device=boxes.device)
    sides = ((cells[:, 2:] - cells[:, :2]) / options.output_size)[:, :, None]
    limit = cells.new_tensor([width, height])[:, None]
    starts = cells[:, :2, None] + (step * sides).floor()
    ends = cells[:, :2, None] + ((step + 1) * sides).ceil()
    return tuple(edge.clamp(min=0).minimum(limit).to(torch.int64) for edge in (starts, ends))  # type: ignore[return-value]


def roi_pool_reference(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """The definition, bin by bin."""
    size = options.output_size
    output = features.new_zeros((boxes.shape[0], features.shape[1], size, size))
    starts, ends = roi_pool_bins(boxes, options, *features.shape[-2:])
    for r in range(boxes.shape[0]):
        for by in range(size):
            for bx in range(size):
                rows = slice(int(starts[r, 1, by]), int(ends[r, 1, by]))
                columns = slice(int(starts[r, 0, bx]), int(ends[r, 0, bx]))
                window = features[int(image_index[r]), :, rows, columns].flatten(1)
                if window.numel():
                    output[r, :, by, bx] = window.max(dim=1).values  # the first of equal ones gets the gradient
    return output


def roi_pool_tables(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """The same by asking tables of range maxima where each bin is largest, and gathering those cells.

    A map is a table (N H W, C), whose rows are what memory is fast at. The result is channels-last.
    """
    size, (_, channels, height, width) = options.output_size, features.shape
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    starts, ends = roi_pool_bins(boxes, options, height, width)
    left, top = starts[:, 0, None, :], starts[:, 1, :, None] + image_index[:, None, None] * height
    columns, rows = (ends - starts)[:, 0, None, :], (ends - starts)[:, 1, :, None]
    first = (top * width + left).flatten()  # (R S S,): the table's row of each bin's first cell
    sides = torch.stack([edge.expand(-1, size, size).flatten() for edge in (columns, rows)], dim=1)
    occupied = (sides > 0).all(dim=1).nonzero()[:, 0]
    peaks = _peaks(table.detach(), width, first[occupied], sides[occupied])
    pooled = table.new_zeros((first.shape[0], channels)).index_copy(0, occupied, table.gather(0, peaks))
    return pooled.view(-1, size, size, channels).permute(0, 3, 1, 2)


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
        """Each joined with the entry `step` rows on; at the end of the map that is rubbish, which no bin asks for."""
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


ROI_POOL: dict[str, RoIOperator] = {
    "reference": roi_pool_reference,
    "tables": roi_pool_tables,
}


def roi_pool(features: Tensor, boxes: Tensor, image_index: Tensor, options: RoIAlignOptions) -> Tensor:
    """Features (R, C, S, S) of R boxes, channels-last in memory; an empty bin is 0.

    Args:
        features: (N, C, H, W), channels-last in memory for speed.
        boxes: (R, 4) x1, y1, x2, y2 in pixels.
        image_index: (R,) int64, the image 0..N-1 of each box.
        options: size and scale; there are no samples to choose or to average.
    """
    return roi_pool_tables(features, boxes, image_index, options)
