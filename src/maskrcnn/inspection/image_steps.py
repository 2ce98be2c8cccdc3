"""The steps that concern the whole image: input, feature maps, anchors, proposals, levels, and the result."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import torch

from maskrcnn.inspection.maps import map_picture, telling_channels
from maskrcnn.inspection.step import Step, count, figure, image, key, level_legend, row
from maskrcnn.inspection.svg import PHOTO, around, boxes, dots, drawing, picture
from maskrcnn.inspection.trace import NUM_CANDIDATES, Level, Trace
from maskrcnn.prediction import Prediction
from maskrcnn.viz.inline import inline_jpeg
from maskrcnn.viz.labels import Box

NUM_CHANNELS = 4
RESULT_SIDE = 1280
"""Longest side of the result's picture, pixels."""
MAX_RESULTS = 500
"""More objects than this are not drawn: the page stays light."""


def whole_image(trace: Trace) -> Box:
    """The window of the whole image in the `input` frame."""
    height, width = trace.input_size
    return 0.0, 0.0, float(width), float(height)


def image_step(trace: Trace) -> Step:
    """How the picture becomes the network's input."""
    (height, width), original = trace.input_size, trace.prediction.image_size
    settings = trace.model.config.input
    text = (
        f"The image is resized so that its short side has {settings.min_size} pixels, unless the long one would exceed "
        f"{settings.max_size}{'' if settings.shrink else ' (for the short side it is only ever made larger)'}. Fixed "
        "means are subtracted from its colours and fixed spreads divided out, and it is padded at the right and the "
        f"bottom to a multiple of {settings.size_divisor}. Up to the last step all coordinates are those of this "
        "<i>input</i> frame."
    )
    padded = [-(-side // settings.size_divisor) * settings.size_divisor for side in (width, height)]
    sizes = {"as read": original[::-1], "resized": (width, height), "padded": padded}
    facts = "".join(f"<li><span>{name}</span><b>{w} × {h}</b></li>" for name, (w, h) in sizes.items())
    pictures = [
        figure(drawing(whole_image(trace), [PHOTO], "the image")),
        figure(f'<ul class="facts">{facts}</ul>', "Width × height in pixels"),
    ]
    body = row(pictures)
    return Step("image", "The image", "Mask R-CNN, section 3.1", text, body, f"{width} × {height} pixels")


def maps_step(trace: Trace) -> Step:
    """What the backbone sees."""
    levels, network = trace.levels, escape(trace.model.config.backbone.name)
    num_channels = len(levels[0].features)
    channels = telling_channels(levels[min(1, len(levels) - 1)].features, NUM_CHANNELS)
    shown = (
        f"Bright cells have large features (the norm over {count(num_channels, 'channel')}); beside it, "
        f"channel {', '.join(map(str, channels))}: where values differ most from place to place."
    )
    if len(levels) > 1:
        text = (
            f"A {network} looks at the image in ever coarser steps, and a path back down hands what the coarse maps "
            f"know to the fine ones. Each row is a level: fine ones for small objects, coarse ones for large ones. "
            f"{shown} The same channels mean the same on every level, since the same heads read them all."
        )
        source = "Mask R-CNN, section 3; FPN, section 3"
    else:
        text = f"A {network} turns the image into one map; this model has no pyramid. {shown}"
        source = "Mask R-CNN, section 3; Faster R-CNN, section 3.1"
    rows = "".join(_level_row(level, channels) for level in levels)
    brief = f"{count(len(levels), 'map')}, {count(num_channels, 'channel')}"
    title = "The feature pyramid" if len(levels) > 1 else "The feature map"
    return Step("maps", title, source, text, f'<div class="maps">{rows}</div>', brief)


def _level_row(level: Level, channels: list[int]) -> str:
    rows, columns = level.features.shape[-2:]
    head = f"<div><b>{level.name}</b><br>{columns} × {rows} cells<br>of {level.stride} × {level.stride} pixels</div>"
    pictures = [image(map_picture(level.features.norm(dim=0)), f"{level.name}: norm over the channels")]
    pictures += [image(map_picture(level.features[c]), f"{level.name}: channel {c}") for c in channels]
    return head + "".join(pictures)


def anchors_step(trace: Trace) -> Step:
    """The RPN's anchors, and where it sees objects."""
    levels = trace.levels
    legend = level_legend(
        [level.name for level in levels],
        [f"best anchor of the cell {float(level.scores.max()):.2f}" for level in levels],
    )
    maps = [
        figure(image(map_picture(level.objectness, 0.0, 1.0), f"objectness on {level.name}"), level.name)
        for level in levels
    ]
    text = (
        f"The region proposal network asks in every cell about {count(len(levels[0].anchors), 'box', 'boxes')} of "
        "fixed size and shape, the anchors: is an object about here, of whatever class, and how should the box move? "
        "The cells shown lie next to the middle of the region that is followed below. The last row shows the best "
        "answer of every cell, black for probability 0, pale yellow for 1."
    )
    body = row(_anchor_figures(levels)) + legend + row(maps, "five")
    source = "Faster R-CNN, section 3.1.1; FPN, section 4.1"
    return Step("anchors", "Anchors and objectness", source, text, body, count(trace.num_anchors, "anchor"))


def _anchor_figures(levels: Sequence[Level]) -> list[str]:
    """The anchors of the chosen cells; and the best of them, with the box that it becomes."""
    window = around(torch.cat([level.anchors for level in levels]), 0.06)
    parts = [PHOTO, *(_anchors(level, i) for i, level in enumerate(levels))]
    strongest = max(range(len(levels)), key=lambda i: float(levels[i].scores.max()))
    winner = levels[strongest]
    best = winner.scores.argmax()
    moving = [
        PHOTO,
        boxes(winner.anchors[best][None], f"box dashed level-{strongest}"),
        boxes(winner.boxes[best][None], "box strong follow"),
    ]
    return [
        figure(drawing(window, parts, "anchors"), "The anchors of one cell per level; the best scored is thick."),
        figure(
            drawing(window, moving, "anchor and proposal"),
            f"The best of them all ({winner.name}, {float(winner.scores[best]):.2f}, dashed) and the box that its "
            "deltas make of it.",
        ),
    ]


def _anchors(level: Level, index: int) -> str:
    centre = (level.anchors[0, :2] + level.anchors[0, 2:]) / 2
    best = level.anchors[level.scores.argmax()][None]
    colour = f"level-{index}"
    return boxes(level.anchors, f"box {colour}") + boxes(best, f"box strong {colour}") + dots(centre, f"dot {colour}")


def proposals_step(trace: Trace) -> Step:
    """The best boxes, before and after NMS."""
    rpn, window = trace.model.config.rpn, whole_image(trace)
    before, after = trace.candidates, trace.proposals[:NUM_CANDIDATES]
    kept = (before[:, None] == trace.proposals[None]).all(dim=2).any(dim=1)
    pair = [
        figure(
            drawing(window, [PHOTO, boxes(before[~kept], "box pooled"), boxes(before[kept], "box follow")], "before"),
            f"<b>Before</b>: the best {count(len(before), 'candidate')}. NMS drops {int((~kept).sum())} of them "
            f"{key('pooled')} and keeps {int(kept.sum())} {key('follow')}.",
        ),
        figure(
            drawing(window, [PHOTO, boxes(after, "box follow")], "after"),
            f"<b>After</b>: the best {count(len(after), 'proposal')}. Others have moved up.",
        ),
    ]
    text = (
        f"The best anchors of each level, {rpn.pre_nms_top_k_test:,} at most, moved by their deltas, are the "
        "candidates. Many mean the same object: non-maximum suppression goes from best to worst and drops every "
        f"box that overlaps a better one of its level with an IoU above {rpn.nms_threshold:g}. At most "
        f"{rpn.post_nms_top_k_test:,} go on as proposals, here {len(trace.proposals):,}."
    )
    brief = count(len(trace.proposals), "proposal")
    return Step("proposals", "Proposals", "Faster R-CNN, sections 3.1 and 3.3", text, row(pair), brief)


def levels_step(trace: Trace) -> Step:
    """Which map the heads read each proposal from."""
    title, source = "Which level a box is read from", "FPN, section 4.2, equation 1"
    levels, names = trace.proposal_levels, [level.name for level in trace.levels]
    if levels is None:
        text = "This model ends with its proposals: it is a region proposal network alone."
        return Step("levels", title, source, text, "", "no heads")
    if len(names) == 1:
        text = "This model has a single map: every box is read from it."
        return Step("levels", title, source, text, "", f"all from {names[0]}")
    text = (
        "The heads read a box of width w and height h from level k = ⌊4 + log₂(√(wh) / 224)⌋, at least 2 and at "
        "most 5: one of 224 × 224 pixels from P4, one of half that size from P3. So every box spans about as many "
        "cells, and one head serves all sizes."
    )
    counts = [int((levels == i).sum()) for i in range(len(names) - 1)]  # the last, P6, is for the RPN alone
    shown = zip(trace.proposals[:NUM_CANDIDATES], levels[:NUM_CANDIDATES].tolist(), strict=True)
    parts = [PHOTO, *(boxes(box[None], f"box level-{level}") for box, level in shown)]
    legend = level_legend(names[:-1], [count(number, "proposal") for number in counts])
    used = [f"{name}: {number:,}" for name, number in zip(names, counts, strict=False) if number]
    body = figure(drawing(whole_image(trace), parts, "levels")) + legend
    return Step("levels", title, source, text, body, ", ".join(used) or "none")


def result_step(trace: Trace) -> Step:
    """The objects in the pixels of the original image."""
    found, region = trace.prediction[:MAX_RESULTS], trace.region
    height, width = found.image_size
    window = (0.0, 0.0, float(width), float(height))
    parts = [picture(inline_jpeg(found.overlay(), RESULT_SIDE, 86), window, "smooth"), _hot_spots(found)]
    if region is not None and region.number is not None:
        parts.append(boxes(torch.from_numpy(trace.prediction.boxes[None, region.number - 1]), "box strong follow"))
    kinds = "boxes only" if found.keypoints is None else "boxes and keypoints"
    last = (
        f"this model gives {kinds}"
        if not found.has_masks
        else f"masks are resized to them and cut at {found.mask_threshold:g}"
    )
    text = (
        f"Boxes go back to the pixels of the original image; {last}. Rest the pointer on an object to see its number: "
        "<code>--roi</code> with that number follows it. The one that was followed is framed."
    )
    body = figure(drawing(window, parts, "result"))
    brief = count(len(trace.prediction), "object")
    return Step("result", "The result", "Mask R-CNN, section 3.1", text, body, brief)


def _hot_spots(found: Prediction) -> str:
    """An invisible rectangle over every object, small ones on top, that tells what it is under the pointer."""
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    spots = []
    for i in np.argsort(-sides.prod(axis=1), kind="stable").tolist():
        (x, y), (width, height) = found.boxes[i, :2].tolist(), sides[i].tolist()
        spots.append(
            f'<rect class="spot" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">'
            f"<title>{i + 1}: {escape(found.names[i])} {float(found.scores[i]):.2f}</title></rect>"
        )
    return "".join(spots)
