from __future__ import annotations

import pytest
import torch

from maskrcnn.models import pieces
from maskrcnn.models.pieces import in_order, pieces_of

FEATURES = [torch.rand(2, 3, 8, 8), torch.rand(2, 3, 4, 4)]


def squares(*sides: float) -> torch.Tensor:
    return torch.tensor([[0.0, 0.0, side, side] for side in sides]).reshape(-1, 4)


def test_boxes_of_like_size_go_together_and_results_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_BYTES", 3 * (3 * 2 * 2 * 4))  # three boxes of 3 channels and 2 x 2 bins
    boxes = [squares(5, 1, 9, 3), squares(2, 8)]
    found = pieces_of(FEATURES, boxes, roi_size=2)
    assert [p.rows.tolist() for p in found] == [[1, 3], [0, 2], [4, 5]]
    assert [torch.cat(list(p.boxes))[:, 2].tolist() for p in found] == [[1, 3], [5, 9], [2, 8]]
    for piece, image in zip(found, (0, 0, 1), strict=True):
        assert all(torch.equal(a, b[image : image + 1]) for a, b in zip(piece.features, FEATURES, strict=True))
    assert in_order([p.boxes[0] for p in found], found)[:, 2].tolist() == [5, 1, 9, 3, 2, 8]


def test_none() -> None:
    found = pieces_of(FEATURES, [squares(), squares()], roi_size=2)
    assert [len(p.rows) for p in found] == [0, 0]
    assert in_order([p.boxes[0] for p in found], found).shape == (0, 4)


def test_on_a_gpu_the_whole_batch_goes_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "is_asynchronous", lambda x: True)
    boxes = [squares(5, 1), squares(2)]
    (whole,) = pieces_of(FEATURES, boxes, roi_size=2)
    assert whole.features is FEATURES and whole.boxes is boxes and whole.rows.tolist() == [0, 1, 2]
    assert in_order([torch.cat(boxes)], [whole])[:, 2].tolist() == [5, 1, 2]


def test_a_box_larger_than_the_limit_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_BYTES", 1)
    assert [p.rows.tolist() for p in pieces_of(FEATURES, [squares(2, 1), squares()], roi_size=7)] == [[1], [0], []]
