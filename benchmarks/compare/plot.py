"""Curves as one SVG file: a panel for each quantity, a line for each contender, both axes from zero."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from maskrcnn.evaluation.style import STYLE

Points = Sequence[tuple[float, float]]
"""Value of the quantity, seconds."""

WIDTH, HEIGHT, COLUMNS = 340, 260, 3
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 34, 42
LEGEND = 30


def draw_panels(panels: Mapping[str, Mapping[str, Points]], unit: str) -> str:
    """The file's text.

    Args:
        panels: by quantity, then by contender.
        unit: of the vertical axis.
    """
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * WIDTH, LEGEND + rows * HEIGHT
    body = "".join(
        f'<g transform="translate({i % COLUMNS * WIDTH} {LEGEND + i // COLUMNS * HEIGHT})">'
        f"{_panel(quantity, lines, names, unit)}</g>"
        for i, (quantity, lines) in enumerate(panels.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" class="plot" role="img" '
        f'aria-label="cost"><style>{escape(STYLE, quote=False)} text {{ font: 11px sans-serif }}</style>'
        f'<rect width="{width}" height="{height}" fill="var(--card)"/>{_legend(names)}{body}</svg>\n'
    )


def nice_step(limit: float, parts: int = 4) -> float:
    """The smallest of 1, 2, 5 times a power of ten with which `parts` steps reach `limit`."""
    if limit <= 0:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(limit / parts))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude * parts >= limit * (1 - 1e-9))


def _legend(names: Sequence[str]) -> str:
    return "".join(
        f'<path class="line line-{i}" d="M{LEFT + 200 * i} 18h18"/>'
        f'<text x="{LEFT + 200 * i + 25}" y="22">{escape(name)}</text>'
        for i, name in enumerate(names)
    )


def _panel(quantity: str, lines: Mapping[str, Points], names: Sequence[str], unit: str) -> str:
    points = [point for line in lines.values() for point in line]
    steps = tuple(nice_step(max((point[axis] for point in points), default=1.0)) for axis in (0, 1))
    paths = "".join(
        f'<path class="line line-{names.index(name)}" d="{_path(line, steps)}"/>' for name, line in lines.items()
    )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    return (
        f"{_axes(steps)}{paths}"
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(quantity)}</text>'
        f'<text x="{LEFT}" y="{TOP - 10}" text-anchor="middle">{escape(unit)}</text>'
    )


def _axes(steps: tuple[float, ...]) -> str:
    marks = []
    for number in range(5):
        x, y = _place((number * steps[0], number * steps[1]), steps)
        marks.append(f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        marks.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{number * steps[0]:g}</text>')
        marks.append(f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{number * steps[1]:g}</text>')
    return "".join(marks)


def _path(line: Points, steps: tuple[float, ...]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (_place(point, steps) for point in line))


def _place(point: tuple[float, float], steps: tuple[float, ...]) -> tuple[float, float]:
    x = LEFT + point[0] / (4 * steps[0]) * (WIDTH - LEFT - RIGHT)
    return x, HEIGHT - BOTTOM - point[1] / (4 * steps[1]) * (HEIGHT - BOTTOM - TOP)
