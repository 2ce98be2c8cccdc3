"""The steps that follow one region: RoIAlign beside RoIPool, class and box, masks, keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import torch
from torch import Tensor

from maskrcnn.inspection.cutting_step import cutting_step
from maskrcnn.inspection.keypoint_step import keypoint_step
from maskrcnn.inspection.maps import map_picture
from maskrcnn.inspection.region import Region
from maskrcnn.inspection.step import Step, count, figure, image, row
from maskrcnn.inspection.svg import PHOTO, around, boxes, drawing, picture
from maskrcnn.inspection.trace import Trace
from maskrcnn.masks.paste import paste_windows
from maskrcnn.masks.polygons import bitmap_to_polygons

MAX_CLASSES = 12
"""At most this many bars or masks are shown."""


def region_steps(trace: Trace) -> list[Step]:
    """What happens to the region followed; none without heads or without proposals."""
    region = trace.region
    if region is None:
        return []
    steps = [cutting_step(trace, region), _class_step(trace, region), _mask_step(trace, region)]
    return steps if region.keypoints is None else [*steps, keypoint_step(trace, region, region.keypoints)]


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
    others = count(left_out, "other class", "other classes")
    note = f'<p class="quiet">{others} with lower scores.</p>' if left_out else ""
    return f'<ul class="bars">{bars}</ul>{note}'


# --- masks ------------------------------------------------------------------------------------------------------


def _mask_step(trace: Trace, region: Region) -> Step:
    source = "Mask R-CNN, section 3 and table 2b"
    if region.mask_probs is None:
        kind = "it is Faster R-CNN." if region.keypoints is None else "it finds keypoints instead."
        text = f"This model has no mask branch (<code>mask_head.enabled</code> is false): {kind}"
        return Step("masks", "Masks", source, text, "", "none")
    number, rows, columns = region.mask_probs.shape
    threshold = trace.model.config.mask_head.threshold
    text = (
        f"For the refined box a small network gives {count(number, 'mask')} of {rows} × {columns} probabilities. "
        f"{_mask_kind(trace, number)} The chosen mask is stretched over the box; a pixel belongs to the object from "
        f"{threshold:g} on."
    )
    masks = [_mask_figure(trace, region, i) for i in _masks_to_show(region)]
    left_out = number - len(masks)
    note = f'<p class="quiet">{count(left_out, "mask")} of less likely classes not shown.</p>' if left_out else ""
    body = row(masks, "many") + note + row(_pasting(trace, region))
    return Step("masks", "Masks", source, text, body, f"{number} × {rows} × {columns}")


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
    threshold = trace.model.config.mask_head.threshold
    return [
        figure(drawing(window, [*stretched, frame], "mask over its box"), "The mask, stretched over the refined box"),
        figure(drawing(window, [*outline, frame], "pasted mask"), f"Resampled to pixels and cut at {threshold:g}"),
    ]


def _outline(trace: Trace, probs: Tensor, box: Tensor) -> str:
    """The pasted mask's rings as SVG path data, `input` frame."""
    settings = trace.model.config.mask_head
    data, mask_and_box = "", (probs[None].numpy(), box[None].numpy())
    pasted = paste_windows(*mask_and_box, trace.input_size, settings.threshold, settings.paste)
    for crop, (left, top, *_) in pasted:
        for outer, holes in bitmap_to_polygons(crop):
            for ring in (outer, *holes):
                data += "M" + "L".join(f"{x + left:.1f} {y + top:.1f}" for x, y in ring.tolist()) + "z"
    return data
