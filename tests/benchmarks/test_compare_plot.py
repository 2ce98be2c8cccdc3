"""Curves as SVG: scales worked out by hand."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from benchmarks.compare import plot
from benchmarks.compare.plot import draw_panels, nice_step


@pytest.mark.parametrize(
    ("limit", "step"), [(4.0, 1.0), (4.1, 2.0), (8.0, 2.0), (9, 5.0), (21, 10.0), (1200, 500.0), (0.03, 0.01), (0, 1.0)]
)
def test_four_round_steps_reach_the_limit(limit: float, step: float) -> None:
    assert nice_step(limit) == pytest.approx(step)


def test_every_line_in_its_panel() -> None:
    panels = {
        "images": {"ours": [(1, 1.0), (4, 4.0)], "torchvision <v>": [(1, 2.0), (4, 8.0)]},
        "classes": {"ours": [(20, 0.5)]},
        "area": {"ours": [(1, 1.0)]},
        "batch": {"ours": [(1, 1.0)]},
    }
    text = draw_panels(panels, "seconds")
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("viewBox") == f"0 0 {3 * plot.WIDTH} {plot.LEGEND + 2 * plot.HEIGHT}", "three to a row"
    words = [element.text for element in root.iter(f"{space}text")]
    assert {*panels, "ours", "torchvision <v>", "seconds"} <= set(words)
    first = root.findall(f"{space}g")[0]
    ours, theirs = (e.get("d") or "" for e in first.iter(f"{space}path") if "line" in (e.get("class") or ""))
    right, floor = plot.WIDTH - plot.RIGHT, plot.HEIGHT - plot.BOTTOM
    height = floor - plot.TOP
    ends = [tuple(map(float, re.split(r"[ L]", path.split("L")[-1]))) for path in (ours, theirs)]
    assert ends == [(right, floor - height / 2), (right, plot.TOP)], "8 seconds are the top, 4 images the right end"
