"""Small histograms as SVG."""

from __future__ import annotations

from html import escape

import numpy as np

from maskrcnn.structures.masks import FloatArray

_WIDTH, _HEIGHT, _BARS = 320, 90, 24


def histogram(values: FloatArray, title: str) -> str:
    """How often values occur, as bars between the least and the greatest; nothing where there are none."""
    if not len(values):
        return ""
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, _BARS, (low, high if high > low else low + 1))
    width = _WIDTH / _BARS
    tall = counts / counts.max() * (_HEIGHT - 2)
    bars = "".join(
        f'<rect x="{place * width:.1f}" y="{_HEIGHT - side:.1f}" width="{width - 1:.1f}" height="{side:.1f}"/>'
        for place, side in enumerate(tall)
        if side
    )
    middle = float(np.median(values))
    caption = f"{escape(title)}: {low:.0f} to {high:.0f}, median {middle:.0f}"
    return (
        f'<figure class="histogram"><figcaption>{caption}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" preserveAspectRatio="none">{bars}</svg></figure>'
    )
