"""Precision-recall curves as inline SVG; colours come from the page's style sheet, so they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from maskrcnn.evaluation.metrics import Curve
from maskrcnn.evaluation.table import format_number
from maskrcnn.structures.masks import FloatArray

WIDTH, HEIGHT = 380, 300
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 42
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def draw_curves(curves: Sequence[Curve], title: str) -> str:
    """One figure with all `curves`: an SVG element and a legend with the mean precision of each."""
    lines = "".join(f'<path class="line line-{i}" d="{_path(curve.precision)}"/>' for i, curve in enumerate(curves))
    keys = "".join(
        f'<li><span class="key line-{i}"></span>{escape(curve.label)} '
        f"<b>{format_number(_mean(curve.precision))}</b></li>"
        for i, curve in enumerate(curves)
    )
    return (
        f'<figure class="plot"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{_axes()}{lines}</svg>'
        f'<ul class="legend">{keys}</ul></figure>'
    )


def _axes() -> str:
    marks = []
    for tick in TICKS:
        x, y = _point(tick, tick)
        marks.append(f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        marks.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
        marks.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    middle_x, middle_y = _point(0.5, 0.5)
    marks.append(f'<text x="{middle_x}" y="{HEIGHT - 6}" text-anchor="middle">recall</text>')
    marks.append(f'<text transform="translate(12 {middle_y}) rotate(-90)" text-anchor="middle">precision</text>')
    return "".join(marks)


def _path(precision: FloatArray) -> str:
    """The polyline through the levels that could be computed; empty without any."""
    recalls = np.linspace(0, 1, len(precision))
    points = [_point(r, p) for r, p in zip(recalls.tolist(), precision.tolist(), strict=True) if math.isfinite(p)]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else ""


def _point(recall: float, precision: float) -> tuple[float, float]:
    x = LEFT + recall * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - precision * (HEIGHT - BOTTOM - TOP)
    return x, y


def _mean(precision: FloatArray) -> float:
    computed = precision[np.isfinite(precision)]
    return float(computed.mean()) if computed.size else float("nan")
