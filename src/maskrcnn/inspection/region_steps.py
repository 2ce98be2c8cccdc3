"""The steps that follow one region: RoIAlign beside RoIPool, class and box, masks, keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import torch
from torch import Tensor

from maskrcnn.inspection.keypoint_step import keypoint_step
from maskrcnn.inspection.maps import map_picture
from maskrcnn.inspection.region import Cutting, Region
from maskrcnn.inspection.step import Step, count, figure, image, key, row
from maskrcnn.inspection.svg import PHOTO, around, boxes, dots, drawing, grid, picture
from maskrcnn.inspection.trace import Trace
from maskrcnn.masks.paste import paste_windows
from maskrcnn.masks.polygons import bitmap_to_polygons
from maskrcnn.prediction import MASK_THRESHOLD

MAX_CLASSES = 12
"""More bars or masks than this would not be looked at."""


def region_steps(trace: Trace) -> list[Step]:
    """What happens to the region followed; none without heads or without proposals."""
    region = trace.region
    if region is None:
        return []
    steps = [_cutting_step(trace, region), _class_step(trace, region), _mask_step(trace, region)]
    return steps if region.keypoints is None else [*steps, keypoint_step(trace, region, region.keypoints)]


# --- RoIAlign and RoIPool ---------------------------------------------------------------------------------------


def _cutting_step(trace: Trace, region: Region) -> Step:
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


# --- class and box ----------------------------------------------------------------------------------------------


def _class_step(trace: Trace, region: Region) -> Step:
    names = (*trace.model.categories.names, "background")
    text = (
        "From the same features one branch tells the class, with a softmax over all classes and the background, and "
        "moves the box once more, now with the class in mind. Boxes that score too low or overlap a better one of "
        "their class are dropped. The masks are made only after that, for the boxes that are left."
        + ("" if region.number is not None else " This region scores too low: it is shown for want of a better one.")
    )
    window = around(torch.stack([region.box, region.refined]), 0.25)
    parts = [PHOTO, boxes(region.box[None], "box dashed follow"), boxes(region.refined[None], "box strong refined")]
    deltas = ", ".join(f"{round(delta, 2) + 0.0:+.2f}" for delta in region.deltas.tolist())
    figures = [
        figure(_bars(region, names), "Probabilities of the classes"),
        figure(
            drawing(window, parts, "box"),
            "The proposal (dashed) and the box refined for this class; its deltas dx, dy, dw, dh in units of their "
            f"usual spread: {deltas}",
        ),
    ]
    brief = f"{names[region.label]} {region.score:.2f}"
    source = "Fast R-CNN, section 2; Mask R-CNN, section 3"
    return Step("class", "Class and box", source, text, row(figures), brief)


def _bars(region: Region, names: Sequence[str]) -> str:
    """The probabilities of the likeliest classes."""
    order = region.class_probs.argsort(descending=True)[:MAX_CLASSES].tolist()
    bars = "".join(
        f"<li{' class=chosen' if label == region.label else ''}><span>{escape(names[label])}</span>"
        f'<i style="--part:{100 * float(region.class_probs[label]):.1f}%"></i>'
        f"<b>{float(region.class_probs[label]):.3f}</b></li>"
        for label in order
    )
    left_out = len(names) - len(order)
    note = f'<p class="quiet">The other {left_out} classes score less.</p>' if left_out else ""
    return f'<ul class="bars">{bars}</ul>{note}'


# --- masks ------------------------------------------------------------------------------------------------------


def _mask_step(trace: Trace, region: Region) -> Step:
    source = "Mask R-CNN, section 3 and table 2b"
    if region.mask_probs is None:
        kind = "it is Faster R-CNN." if region.keypoints is None else "it finds keypoints instead."
        text = f"This model has no mask branch (<code>mask_head.enabled</code> is false): {kind}"
        return Step("masks", "Masks", source, text, "", "none")
    number, side = len(region.mask_probs), region.mask_probs.shape[-1]
    text = (
        f"For the refined box a small network gives {count(number, 'mask')} of {side} × {side} probabilities. "
        f"{_mask_kind(trace, number)} The chosen mask is stretched over the box; a pixel belongs to the object from "
        "0.5 on."
    )
    masks = [_mask_figure(trace, region, i) for i in _masks_to_show(region)]
    left_out = number - len(masks)
    note = f'<p class="quiet">{left_out} masks of less likely classes are not shown.</p>' if left_out else ""
    body = row(masks, "many") + note + row(_pasting(trace, region))
    return Step("masks", "Masks", source, text, body, f"{number} × {side} × {side}")


def _mask_kind(trace: Trace, number: int) -> str:
    settings = trace.model.config.mask_head
    if settings.loss == "softmax":
        return "The classes and the background compete for every pixel (softmax), which the paper found to be worse."
    if settings.class_agnostic:
        return "One mask serves all classes."
    if number == 1:
        return "There is one class, hence one mask; with K classes there would be K, which do not compete."
    return (
        "Each class has its own, and they do not compete: a pixel's sigmoid says how likely it belongs to the object, "
        "<i>if</i> this is the class. Which mask counts is the class branch's choice."
    )


def _masks_to_show(region: Region) -> list[int]:
    """The chosen one, then the others, the likeliest classes first."""
    assert region.mask_probs is not None
    likely = region.class_probs[: len(region.mask_probs)].argsort(descending=True).tolist()
    others = [i for i in likely if i != region.mask] + list(range(len(likely), len(region.mask_probs)))
    return [region.mask, *others][:MAX_CLASSES]


def _mask_figure(trace: Trace, region: Region, index: int) -> str:
    assert region.mask_probs is not None
    names = trace.model.categories.names
    agnostic = trace.model.config.mask_head.class_agnostic
    name = ("object", "background")[index] if agnostic else (*names, "background")[index]
    chosen = index == region.mask
    caption = f"<b>{escape(name)}</b>" if chosen else escape(name)
    style = "plate chosen" if chosen else "plate"
    return figure(image(map_picture(region.mask_probs[index], 0.0, 1.0), f"mask: {name}"), caption, style)


def _pasting(trace: Trace, region: Region) -> list[str]:
    """The chosen mask over its box, and what the threshold makes of it."""
    assert region.mask_probs is not None
    window = around(torch.stack([region.refined]), 0.15)
    probs, box = region.mask_probs[region.mask], region.refined
    stretched = [PHOTO, picture(map_picture(probs, 0.0, 1.0), box.tolist(), "pixels veil")]
    outline = [PHOTO, f'<path class="mask" d="{_outline(trace, probs, box)}"/>']
    frame = boxes(box[None], "box strong refined")
    return [
        figure(drawing(window, [*stretched, frame], "mask over its box"), "The mask, stretched over the refined box"),
        figure(drawing(window, [*outline, frame], "pasted mask"), "Resampled to pixels and cut at 0.5"),
    ]


def _outline(trace: Trace, probs: Tensor, box: Tensor) -> str:
    """The pasted mask's rings as SVG path data, `input` frame."""
    rule = trace.model.config.mask_head.paste
    data = ""
    for crop, (left, top, *_) in paste_windows(probs[None], box[None], trace.input_size, MASK_THRESHOLD, rule):
        for outer, holes in bitmap_to_polygons(crop):
            for ring in (outer, *holes):
                data += "M" + "L".join(f"{x + left:.1f} {y + top:.1f}" for x, y in ring.tolist()) + "z"
    return data
