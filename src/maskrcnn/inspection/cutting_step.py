"""The step that cuts out a region's features: RoIAlign beside RoIPool."""

from __future__ import annotations

import torch
from torch import Tensor

from maskrcnn.inspection.maps import map_picture
from maskrcnn.inspection.region import Cutting, Region
from maskrcnn.inspection.step import Step, count, figure, image, key, row
from maskrcnn.inspection.svg import PHOTO, around, boxes, dots, drawing, grid
from maskrcnn.inspection.trace import Trace


def cutting_step(trace: Trace, region: Region) -> Step:
    """Where RoIAlign and RoIPool take a region's features from, with the numbers of both."""
    cut = region.cutting
    rows, columns, samples = cut.points.shape[:3]
    level, grid_size = trace.levels[region.level], f"{rows} × {columns}"
    text = (
        f"Proposal {region.index + 1} {_origin(region)} is {_sides(region.box)} pixels large and is read from "
        f"{level.name}, whose cells have {count(cut.stride, 'pixel')} a side (the thin grid). The heads want "
        f"{grid_size} values. RoIAlign divides the very box into bins and samples each at {count(samples, 'point')} "
        "between the cells. RoIPool, its predecessor, moves the box to whole cells, then each bin, and takes the "
        "largest cell: a small shift means little to a class, but much to a mask. "
        + _USED[trace.model.config.roi.operator]
    )
    low, high = float(min(cut.aligned.min(), cut.pooled.min())), float(max(cut.aligned.max(), cut.pooled.max()))
    values = [
        figure(image(map_picture(features, low, high), name), f"What {name} gives (norm over the channels)")
        for name, features in (("RoIAlign", cut.aligned), ("RoIPool", cut.pooled))
    ]
    source = "Mask R-CNN, section 3 and figure 3; Fast R-CNN, section 2.1"
    body = row(_cutting_figures(region)) + rounding_table(cut) + row(values, "two small")
    return Step("cutting", "RoIAlign, beside RoIPool", source, text, body, f"{grid_size} values")


def _cutting_figures(region: Region) -> list[str]:
    """RoIAlign's samples and RoIPool's cells, over the same part of the image."""
    cut = region.cutting
    (rows, columns, samples), rounded = cut.points.shape[:3], cut.pooling.box
    window = around(torch.stack([region.box, rounded]), 0.12)
    cells = [PHOTO, grid(window, cut.stride, "cells")]
    shift = float((rounded - region.box).abs().max())
    return [
        figure(
            drawing(window, [*cells, *_align_parts(region)], "RoIAlign"),
            f"<b>RoIAlign</b>: {rows} × {columns} bins with {count(samples, 'sample')} each, nothing rounded. "
            + _neighbours_text(cut),
        ),
        figure(
            drawing(window, [*cells, *_pool_parts(region)], "RoIPool"),
            f"<b>RoIPool</b>: the edges (dashed: the true ones) move by up to {shift:.1f} pixels; bins take whole "
            f"cells. The middle one {key('refined')} {_cells(cut)}.",
        ),
    ]


def rounding_table(cut: Cutting) -> str:
    """The numbers of one box, computed by RoIAlign and by both rules of RoIPool, in cells."""
    sides = (cut.box[2:] - cut.box[:2]) / cut.stride
    rows, columns = cut.points.shape[:2]
    exact = _row("RoIAlign: nothing rounded", sides, sides / sides.new_tensor([columns, rows]), 0.0)
    pooled = [
        _row(
            _RULES[rule],
            (pooling.box[2:] - pooling.box[:2]) / cut.stride,
            (pooling.bins[..., 2:] - pooling.bins[..., :2]).flatten(0, 1).amax(dim=0) / cut.stride,
            float((pooling.box - cut.box).abs().max()),
        )
        for rule, pooling in cut.poolings.items()
    ]
    head = "".join(f"<th>{name}</th>" for name in ("In cells", "Box", "Largest bin", "Edges move by (pixels)"))
    return f"<table><tr>{head}</tr>{exact}{''.join(pooled)}</table>"


_RULES = {
    "nearest": "RoIPool as published: to the nearest cells, bins grow",
    "floor": "RoIPool, cutting off (<code>roi.pool_rounding=floor</code>)",
}


def _row(name: str, box: Tensor, largest: Tensor, shift: float) -> str:
    """Sides are (2,) width and height, whole where they have been rounded."""
    return f"<tr><td>{name}</td><td>{_pair(box)}</td><td>{_pair(largest)}</td><td>{shift:.1f}</td></tr>"


def _pair(sides: Tensor) -> str:
    return " × ".join(f"{side:.2f}".removesuffix(".00") for side in sides.tolist())


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
    rows, columns = cut.points.shape[:2]
    x1, y1, x2, y2 = box.tolist()
    lines = "".join(f"M{x1 + i / columns * (x2 - x1):.1f} {y1:.1f}V{y2:.1f}" for i in range(columns + 1))
    lines += "".join(f"M{x1:.1f} {y1 + i / rows * (y2 - y1):.1f}H{x2:.1f}" for i in range(rows + 1))
    return [
        f'<path class="bins" d="{lines}"/>',
        boxes(box[None], "box strong follow"),
        boxes(_middle_bin(box, rows, columns)[None], "box chosen"),
        dots(cut.points, "dot sample"),
        *_neighbours(cut),
    ]


def _middle_bin(box: Tensor, rows: int, columns: int) -> Tensor:
    """(4,) RoIAlign's bin in the middle of a box."""
    side = (box[2:] - box[:2]) / box.new_tensor([columns, rows])
    corner = box[:2] + box.new_tensor([columns // 2, rows // 2]) * side
    return torch.cat([corner, corner + side])


def _pool_parts(region: Region) -> list[str]:
    pooling = region.cutting.pooling
    bins = pooling.bins.reshape(-1, 4)
    real = bins[(bins[:, 2:] > bins[:, :2]).all(dim=1)]
    return [
        "".join(boxes(one[None], "pool") for one in real),
        boxes(_middle(pooling.bins)[None], "box chosen"),
        boxes(pooling.box[None], "box strong pooled"),
        boxes(region.box[None], "box dashed follow"),
    ]


def _example(cut: Cutting) -> tuple[Tensor, Tensor, Tensor] | None:
    """One sample (2,) of the middle bin, the centres (4, 2) of the cells around it, and their weights (4,)."""
    if not cut.points.shape[2]:
        return None
    point = _middle(cut.points)[0]
    position = point / cut.stride - cut.centre
    low = position.floor()
    corners = torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    weights = (1 - (position - low - corners).abs()).prod(dim=1)
    return point, (low + corners + cut.centre) * cut.stride, weights


def _middle(bins: Tensor) -> Tensor:
    """Of something for each of (S, S) bins, that of the one in the middle."""
    return bins[bins.shape[0] // 2, bins.shape[1] // 2]


def _cells(cut: Cutting) -> str:
    """How many cells RoIPool's bin in the middle has."""
    x1, y1, x2, y2 = (_middle(cut.pooling.bins) / cut.stride).tolist()
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
