from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from maskrcnn.evaluation import Curve
from maskrcnn.evaluation.curves import draw_curves


def paths(markup: str) -> list[str]:
    root = ElementTree.fromstring(markup)
    return [path.get("d", "") for path in root.iter("path") if path.get("class", "").startswith("line")]


def points(path: str) -> np.ndarray:
    return np.array([[float(v) for v in point.split()] for point in path.removeprefix("M").split("L")])


def test_a_curve_runs_from_left_to_right_and_down() -> None:
    falling = Curve("IoU 0.50", np.linspace(1, 0, 101))
    (path,) = paths(draw_curves([falling], "mask"))
    drawn = points(path)
    assert len(drawn) == 101 and (np.diff(drawn[:, 0]) > 0).all()
    assert (np.diff(drawn[:, 1]) > 0).all(), "y grows downwards in SVG, so falling precision grows"
    assert np.allclose(np.diff(drawn, axis=0), np.diff(drawn, axis=0)[0], atol=0.11)


def test_the_legend_gives_the_mean_and_escapes_names() -> None:
    markup = draw_curves([Curve("a < b", np.full(101, 0.25))], "mask & box")
    assert "a &lt; b <b>0.250</b>" in markup and "mask &amp; box" in markup


@pytest.mark.parametrize("precision", [np.full(101, np.nan), np.zeros(0)])
def test_a_curve_without_numbers_is_empty(precision: np.ndarray) -> None:
    markup = draw_curves([Curve("none", precision)], "box")
    assert paths(markup) == [""] and "<b>-</b>" in markup
