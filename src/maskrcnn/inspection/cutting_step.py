"""The step that cuts out a region's features: RoIAlign beside RoIPool."""

from __future__ import annotations

import torch
from torch import Tensor

from maskrcnn.inspection.maps import map_picture
from maskrcnn.inspection.region import Cutting, Region
from maskrcnn.inspection.step import Step, figure, image, key, row
from maskrcnn.inspection.svg import PHOTO, around, boxes, dots, drawing, grid
from maskrcnn.inspection.trace import Trace


def cutting_step(trace: Trace, region: Region) -> Step:
    cut = region.cutting
    size, samples = cut.points.shape[0], cut.points.shape[2]
    level = trace.levels[region.level]
    text = (
        f"Proposal {region.index + 1} {_origin(region)} is {_sides(region.box)} pixels large and is read from "
        f"{level.name}, whose cells have {cut.stride} pixels (the thin grid). The heads want {size} × {size} values. "
        f"RoIAlign divides the very box into bins and samples each at {samples} points between the cells. RoIPool, its "
        "predecessor, moves the box to whole cells, then each bin, and takes the largest cell: a small shift means "
        "little to a class, but much to a mask. " + _USED[trace.model.config.roi.operator]
    )
    low, high = float(min(cut.aligned.min(), cut.pooled.min())), float(max(cut.aligned.max(), cut.pooled.max()))
    values = [
        figure(image(map_picture(features, low, high), name), f"What {name} gives (norm over the channels)")
        for name, features in (("RoIAlign", cut.aligned), ("RoIPool", cut.pooled))
    ]
    source = "Mask R-CNN, section 3 and figure 3; Fast R-CNN, section 2.1"
    body = row(_cutting_figures(region)) + row(values, "two small")
    return Step("cutting", "RoIAlign, beside RoIPool", source, text, body, f"{size} × {size} values")


def _cutting_figures(region: Region) -> list[str]:
    """RoIAlign's samples and RoIPool's cells, over the same part of the image."""
    cut, size = region.cutting, len(region.cutting.points)
    window = around(torch.stack([region.box, cut.rounded_box]), 0.12)
    cells = [PHOTO, grid(window, cut.stride, "cells")]
    shift = float((cut.rounded_box - region.box).abs().max())
    return [
        figure(
            drawing(window, [*cells, *_align_parts(region)], "RoIAlign"),
            f"<b>RoIAlign</b>: {size} × {size} bins with {cut.points.shape[2]} samples each, nothing rounded. "
            + _neighbours_text(cut),
        ),
        figure(
            drawing(window, [*cells, *_pool_parts(region)], "RoIPool"),
            f"<b>RoIPool</b>: the edges (dashed: the true ones) move by up to {shift:.1f} pixels; bins take whole "
            f"cells and overlap. The middle one {key('refined')} {_cells(cut)}.",
        ),
    ]


_USED = {
    "align": "This model uses RoIAlign.",
    "pool": "This model uses RoIPool (<code>roi.operator</code>).",
    "warp": "This model uses RoIWarp (<code>roi.operator</code>): RoIAlign's samples in RoIPool's box.",
}


def _origin(region: Region) -> str:
    return "(found nothing)" if region.number is None else f"(it becomes object {region.number})"


def _sides(box: Tensor) -> str:
    width, height = (box[2:] - box[:2]).tolist()
    return f"{width:.0f} × {height:.0f}"


def _align_parts(region: Region) -> list[str]:
    cut, box = region.cutting, region.box
    size = cut.points.shape[0]
    steps = torch.arange(size + 1, device=box.device)[:, None] / size
    corners = box[:2] + steps * (box[2:] - box[:2])
    (x1, y1), (x2, y2) = corners[0].tolist(), corners[-1].tolist()
    lines = "".join(f"M{x:.1f} {y1:.1f}V{y2:.1f}M{x1:.1f} {y:.1f}H{x2:.1f}" for x, y in corners.tolist())
    return [
        f'<path class="bins" d="{lines}"/>',
        boxes(box[None], "box strong follow"),
        boxes(_middle_bin(box, size)[None], "box chosen"),
        dots(cut.points, "dot sample"),
        *_neighbours(cut),
    ]


def _middle_bin(box: Tensor, size: int) -> Tensor:
    """(4,) RoIAlign's bin in the middle of a box."""
    side = (box[2:] - box[:2]) / size
    corner = box[:2] + (size // 2) * side
    return torch.cat([corner, corner + side])


def _pool_parts(region: Region) -> list[str]:
    cut = region.cutting
    size, bins = len(cut.bins), cut.bins.reshape(-1, 4)
    real = bins[(bins[:, 2:] > bins[:, :2]).all(dim=1)]
    return [
        "".join(boxes(one[None], "pool") for one in real),
        boxes(cut.bins[size // 2, size // 2][None], "box chosen"),
        boxes(cut.rounded_box[None], "box strong pooled"),
        boxes(region.box[None], "box dashed follow"),
    ]


def _example(cut: Cutting) -> tuple[Tensor, Tensor, Tensor] | None:
    """One sample (2,) of the middle bin, the centres (4, 2) of the cells around it, and their weights (4,)."""
    middle = cut.points.shape[0] // 2
    if not cut.points.shape[2]:
        return None
    point = cut.points[middle, middle, 0]
    position = point / cut.stride - cut.centre
    low = position.floor()
    corners = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    weights = (1 - (position - low - corners).abs()).prod(dim=1)
    return point, (low + corners + cut.centre) * cut.stride, weights


def _cells(cut: Cutting) -> str:
    """How many cells RoIPool's bin in the middle has."""
    x1, y1, x2, y2 = (cut.bins[len(cut.bins) // 2, len(cut.bins) // 2] / cut.stride).tolist()
    if x2 <= x1 or y2 <= y1:
        return "lies outside the map and gives 0"
    return f"gives the largest of {x2 - x1:.0f} × {y2 - y1:.0f} cells"


def _neighbours(cut: Cutting) -> list[str]:
    example = _example(cut)
    if example is None:
        return []
    (x, y), centres, weights = example[0].tolist(), example[1], example[2]
    lines = [
        f'<path class="weight" stroke-opacity="{0.25 + 0.75 * weight:.2f}" d="M{x:.2f} {y:.2f}L{cx:.2f} {cy:.2f}"/>'
        for (cx, cy), weight in zip(centres.tolist(), weights.tolist(), strict=True)
    ]
    return [*lines, dots(centres, "dot cell"), dots(example[0], "dot chosen")]


def _neighbours_text(cut: Cutting) -> str:
    example = _example(cut)
    if example is None:
        return ""
    weights = ", ".join(f"{weight:.2f}" for weight in sorted(example[2].tolist(), reverse=True))
    return f"The large sample is the mean of the four cells around it with weights {weights}."
