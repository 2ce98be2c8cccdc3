"""Line drawings over the photograph, as inline SVG: crisp at any size, and coloured by the page's style sheet.

Coordinates are `input` pixels. The photograph is defined once on the page (`define_photo`) and shown by reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from torch import Tensor

from maskrcnn.structures import Size
from maskrcnn.viz.labels import Box

PHOTO = '<use href="#photo"/>'


def define_photo(address: str, size: Size) -> str:
    """The photograph with `size` (height, width) in the `input` frame, invisible until it is shown by reference."""
    height, width = size
    return (
        '<svg width="0" height="0" class="hidden" aria-hidden="true"><defs>'
        f'<image id="photo" width="{width}" height="{height}" preserveAspectRatio="none" href="{address}"/>'
        "</defs></svg>"
    )


def drawing(window: Box, parts: Iterable[str], title: str) -> str:
    """An SVG element that shows what lies in `window` (x1, y1, x2, y2)."""
    x1, y1, x2, y2 = window
    return (
        f'<svg viewBox="{x1:.1f} {y1:.1f} {x2 - x1:.1f} {y2 - y1:.1f}" role="img" aria-label="{escape(title)}">'
        + "".join(parts)
        + "</svg>"
    )


def boxes(corners: Tensor, style: str) -> str:
    """All boxes (B, 4) as one path; style classes decide on its colour."""
    outline = "".join(f"M{x1:.1f} {y1:.1f}H{x2:.1f}V{y2:.1f}H{x1:.1f}z" for x1, y1, x2, y2 in corners.tolist())
    return f'<path class="{style}" d="{outline}"/>' if outline else ""


def dots(points: Tensor, style: str) -> str:
    """All points (..., 2) as one path of lines of no length, which round caps turn into dots of the line's width."""
    marks = "".join(f"M{x:.2f} {y:.2f}h0" for x, y in points.reshape(-1, 2).tolist())
    return f'<path class="{style}" d="{marks}"/>' if marks else ""


def grid(window: Box, step: int, style: str) -> str:
    """Lines at all multiples of `step` that cross the window."""
    x1, y1, x2, y2 = window
    columns = "".join(f"M{x} {y1:.1f}V{y2:.1f}" for x in _multiples(x1, x2, step))
    rows = "".join(f"M{x1:.1f} {y}H{x2:.1f}" for y in _multiples(y1, y2, step))
    return f'<path class="{style}" d="{columns}{rows}"/>'


def picture(address: str, box: Sequence[float], style: str = "pixels") -> str:
    """A picture stretched over a box (x1, y1, x2, y2)."""
    x1, y1, x2, y2 = box
    return (
        f'<image class="{style}" x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}" '
        f'preserveAspectRatio="none" href="{address}"/>'
    )


def around(corners: Tensor, margin: float) -> Box:
    """The smallest window around some boxes (B, 4), and `margin` times its longer side on every side."""
    (x1, y1), (x2, y2) = corners[:, :2].amin(dim=0).tolist(), corners[:, 2:].amax(dim=0).tolist()
    space = max(margin * max(x2 - x1, y2 - y1), 1.0)
    return x1 - space, y1 - space, x2 + space, y2 + space


def _multiples(low: float, high: float, step: int) -> range:
    return range(-int(-low // step) * step, int(high) + 1, step)
