from __future__ import annotations

import torch

from maskrcnn.models.anchors import Anchors, cell_anchors


def test_cell_anchors_have_the_area_and_ratio_asked_for() -> None:
    boxes = cell_anchors((32, 64), (0.5, 1.0, 2.0))
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    torch.testing.assert_close((width * height).sqrt(), torch.tensor([32.0, 64] * 3))
    torch.testing.assert_close(height / width, torch.tensor([0.5, 0.5, 1, 1, 2, 2]))
    torch.testing.assert_close(boxes[:, :2], -boxes[:, 2:])


def test_grid_runs_along_x_first() -> None:
    anchors = Anchors([(8,)], (1.0,), (4,))
    (boxes,) = anchors([torch.zeros(1, 1, 2, 3)], (8, 12))
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert centres.tolist() == [[0, 0], [4, 0], [8, 0], [0, 4], [4, 4], [8, 4]]
