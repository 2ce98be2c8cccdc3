"""The page: one HTML file that shows an image going through the network; it needs neither network nor script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib import metadata
from pathlib import Path

from maskrcnn.evaluation.style import STYLE
from maskrcnn.files import write_atomically
from maskrcnn.inspection.image_steps import (
    anchors_step,
    image_step,
    levels_step,
    maps_step,
    proposals_step,
    result_step,
)
from maskrcnn.inspection.region_steps import region_steps
from maskrcnn.inspection.step import Step, count
from maskrcnn.inspection.style import INSPECTION_STYLE
from maskrcnn.inspection.svg import define_photo
from maskrcnn.inspection.trace import Trace
from maskrcnn.viz.inline import inline_jpeg

PHOTO_SIDE = 1280
"""The photograph is embedded once, with at most this many pixels a side."""

PAPERS = (
    "Mask R-CNN: He, Gkioxari, Dollár, Girshick 2017. FPN: Lin et al. 2017. Faster R-CNN: Ren et al. 2015. "
    "Fast R-CNN: Girshick 2015."
)


def write_page(path: Path, trace: Trace, title: str) -> None:
    """Write the page of `trace`.

    Args:
        path: the HTML file.
        trace: what `trace_image` gave.
        title: what the image is called.

    Raises:
        UserError: the image cannot be read again, or the file cannot be written.
    """
    write_atomically(path, render_page(trace, title))


def render_page(trace: Trace, title: str) -> str:
    """The HTML of the page."""
    steps = all_steps(trace)
    photo = define_photo(inline_jpeg(trace.prediction.image(), PHOTO_SIDE, 90), trace.input_size)
    sections = "".join(_section(number, step) for number, step in enumerate(steps, start=1))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: through the network</title><style>{STYLE}{INSPECTION_STYLE}</style></head>\n<body>\n"
        f"{photo}{_header(trace, title)}{_overview(steps)}{sections}{_footer(trace)}\n</body></html>\n"
    )


def all_steps(trace: Trace) -> list[Step]:
    """The steps of the page, in the order of the computation."""
    return [
        image_step(trace),
        maps_step(trace),
        anchors_step(trace),
        proposals_step(trace),
        levels_step(trace),
        *region_steps(trace),
        result_step(trace),
    ]


def _header(trace: Trace, title: str) -> str:
    classes = count(len(trace.model.categories), "class", "classes")
    followed = ""
    if trace.region is not None and trace.region.number is not None:
        parts = {"keypoints": trace.region.keypoints, "mask": trace.region.mask_probs}
        last = next((name for name, part in reversed(parts.items()) if part is not None), "box")
        followed = f" Object {trace.region.number} is followed from its proposal to its {last}."
    return (
        f"<header><h1>{escape(title)}: through the network</h1>"
        f'<p class="quiet">What Mask R-CNN ({escape(trace.model.config.backbone.name)}, {classes}) makes of '
        f"this image, step by step, with its real numbers.{followed}"
        "</p></header>"
    )


def _overview(steps: Sequence[Step]) -> str:
    items = "".join(
        f'<li><a href="#{step.name}"><b>{step.title}</b><span>{escape(step.brief)}</span></a></li>' for step in steps
    )
    return f'<nav><ol class="overview">{items}</ol></nav>'


def _section(number: int, step: Step) -> str:
    return (
        f'<section id="{step.name}"><h2><span class="number">{number}</span>{step.title}'
        f'<span class="source">{escape(step.source)}</span></h2><p>{step.text}</p>{step.body}</section>\n'
    )


def _footer(trace: Trace) -> str:
    return (
        f'<footer class="quiet">Made by maskrcnn {metadata.version("maskrcnn")}. Colours of maps and masks go from '
        f"black (low) over red to pale yellow (high). {PAPERS}</footer>"
    )
