from __future__ import annotations

import torch

from maskrcnn.inspection.svg import around, boxes, define_photo, dots, drawing, grid, picture


def test_shapes() -> None:
    corners = torch.tensor([[1.0, 2, 3, 4], [0, 0, 10.25, 5]])
    assert boxes(corners, "box a") == '<path class="box a" d="M1.0 2.0H3.0V4.0H1.0zM0.0 0.0H10.2V5.0H0.0z"/>'
    assert dots(torch.tensor([[1.0, 2.5]]), "dot") == '<path class="dot" d="M1.00 2.50h0"/>'
    assert boxes(torch.zeros(0, 4), "box") == "" == dots(torch.zeros(0, 2), "dot")
    assert picture("data:x", [1, 2, 5, 4]).startswith('<image class="pixels" x="1.0" y="2.0" width="4.0" height="2.0"')


def test_grid_lines_lie_on_the_cells_borders() -> None:
    assert grid((-3.0, 5.0, 9.0, 8.5), 4, "g") == ('<path class="g" d="M0 5.0V8.5M4 5.0V8.5M8 5.0V8.5M-3.0 8H9.0"/>')


def test_windows() -> None:
    corners = torch.tensor([[10.0, 10, 20, 30], [5, 12, 8, 14]])
    assert around(corners, 0.5) == (-5, 0, 30, 40)
    assert around(torch.tensor([[3.0, 3, 3, 3]]), 0.1) == (2, 2, 4, 4), "never empty"
    assert drawing((1.0, 2.0, 11.0, 7.0), ["x"], '"<') == (
        '<svg viewBox="1.0 2.0 10.0 5.0" role="img" aria-label="&quot;&lt;">x</svg>'
    )


def test_the_photograph_fills_the_input_frame() -> None:
    assert 'id="photo" width="30" height="20" preserveAspectRatio="none"' in define_photo("data:x", (20, 30))
