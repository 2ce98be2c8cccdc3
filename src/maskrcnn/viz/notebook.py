"""What a notebook shows of a result."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from maskrcnn.structures.masks import ByteArray
from maskrcnn.viz.inline import inline_jpeg

LONGEST_SIDE = 900
"""Of the picture, in pixels; a notebook keeps it in its file."""


def notebook_html(title: str, counts: Mapping[str, int], picture: ByteArray) -> str:
    """A picture that fits the page, under what there is and how often."""
    listed = ", ".join(f"{number} {escape(name)}" for name, number in counts.items()) or "nothing found"
    return (
        f'<figure style="margin:0"><figcaption style="margin:0 0 6px;overflow-wrap:anywhere">{escape(title)}: {listed}'
        f'</figcaption><img style="max-width:100%;height:auto" alt="{escape(title)}" '
        f'src="{inline_jpeg(picture, LONGEST_SIDE)}"></figure>'
    )
