"""The step of the keypoint branch: a heat map for each keypoint, and the points that are read off them."""

from __future__ import annotations

from html import escape
from math import log

import torch
from torch import Tensor

from maskrcnn.inspection.maps import map_picture
from maskrcnn.inspection.region import KeypointMaps, Region
from maskrcnn.inspection.step import Step, count, figure, image, row
from maskrcnn.inspection.svg import PHOTO, around, boxes, dots, drawing, picture
from maskrcnn.inspection.trace import Trace
from maskrcnn.structures import KeypointSchema

MAX_MAPS = 20
"""At most this many heat maps are shown; the 17 of COCO's persons are."""

DARKEST = 1e-4
"""Cells with less than this share of the peak's probability are black: on an even scale a sure map is one dot."""

_SCORE = {
    "detectron2": "The score is the softmax's probability at the peak.",
    "torchvision": "The score is the logit of the peak (<code>keypoint_head.rule</code>).",
}


def keypoint_step(trace: Trace, region: Region, maps: KeypointMaps) -> Step:
    """Heat maps of the surest keypoints, and all points in the box."""
    number, rows, columns = maps.logits.shape
    brief = f"{number} × {rows} × {columns}"
    title, source = "Keypoints", "Mask R-CNN, section 5"
    categories = trace.model.categories
    schema = categories.keypoints
    if schema is None or not categories.has_keypoints(region.label):
        name = escape(categories.names[region.label])
        return Step("keypoints", title, source, f"The class {name} has no keypoints.", "", "none")
    text = (
        f"For the refined box a further network gives {count(number, 'map')} of {rows} × {columns} values, one for "
        f"each keypoint. A softmax over all {rows * columns:,} cells makes each map choose one: it learns from maps "
        "that are 1 in the true cell and 0 elsewhere. A map is then enlarged to the pixels of the box, so that its "
        "cells do not limit the accuracy, and its highest pixel is the keypoint. Each step in colour is a factor, from "
        f"the peak down to {DARKEST:g} of it. "
        f"{_SCORE[trace.model.config.keypoint_head.rule]}"
    )
    order = maps.points[:, 2].argsort(descending=True).tolist()[:MAX_MAPS]
    heat_maps = [_heat_map(maps, i, _named(schema, i), chosen=i == order[0]) for i in order]
    left_out = number - len(order)
    note = f'<p class="quiet">{count(left_out, "map")} of less sure keypoints not shown.</p>' if left_out else ""
    body = row(heat_maps, "many") + note + row(_placing(region, maps, schema, order[0])) + _positions(maps, schema)
    return Step("keypoints", title, source, text, body, brief)


def _named(schema: KeypointSchema, index: int) -> str:
    """COCO's "left_shoulder" in words."""
    return schema.names[index].replace("_", " ")


def _picture(maps: KeypointMaps, index: int) -> str:
    """The address of a map's picture: logits, which are the logarithms of probabilities but for a constant."""
    peak = float(maps.logits[index].max())
    return map_picture(maps.logits[index], peak + log(DARKEST), peak)


def _heat_map(maps: KeypointMaps, index: int, name: str, chosen: bool) -> str:
    caption = f"{'<b>' * chosen}{escape(name)}{'</b>' * chosen}<br>{float(maps.points[index, 2]):.2f}"
    return figure(image(_picture(maps, index), f"heat map: {name}"), caption, "plate chosen" if chosen else "plate")


def _placing(region: Region, maps: KeypointMaps, schema: KeypointSchema, best: int) -> list[str]:
    """The surest map over its box, and all points with the lines between them."""
    window = around(torch.stack([region.refined]), 0.15)
    frame, points = boxes(region.refined[None], "box strong refined"), maps.points[:, :2]
    heat = picture(_picture(maps, best), region.refined.tolist(), "pixels veil")
    return [
        figure(
            drawing(window, [PHOTO, heat, frame, dots(points[best], "dot follow")], "heat map over its box"),
            f"The map of <b>{escape(_named(schema, best))}</b>, stretched over the refined box, and its peak",
        ),
        figure(
            drawing(window, [PHOTO, frame, _lines(points, schema), dots(points, "dot follow")], "keypoints"),
            "The peaks of all maps, sure or not",
        ),
    ]


def _lines(points: Tensor, schema: KeypointSchema) -> str:
    ends = [(points[start].tolist(), points[end].tolist()) for start, end in schema.skeleton]
    data = "".join(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" for (x1, y1), (x2, y2) in ends)
    return f'<path class="box strong follow" d="{data}"/>' if data else ""


def _positions(maps: KeypointMaps, schema: KeypointSchema) -> str:
    """Every keypoint's place and score."""
    items = "".join(
        f"<li><span>{escape(_named(schema, i))}</span><b>{x:.1f}, {y:.1f} &nbsp; {score:.2f}</b></li>"
        for i, (x, y, score) in enumerate(maps.points.tolist())
    )
    return figure(f'<ul class="facts columns">{items}</ul>', "x, y in pixels of the input, and score")
