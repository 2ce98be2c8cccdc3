from __future__ import annotations

import pytest
import torch

from maskrcnn.models import chunks
from maskrcnn.models.chunks import chunks_of
from maskrcnn.ops.fixed_sizes import fixed_sizes

FEATURES = [torch.rand(2, 3, 8, 8), torch.rand(2, 3, 4, 4)]


def squares(*sides: float) -> torch.Tensor:
    return torch.tensor([[0.0, 0.0, side, side] for side in sides]).reshape(-1, 4)


def test_boxes_go_in_equal_chunks_with_the_maps_of_their_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_BYTES", 3 * (3 * 2 * 2 * 4))  # three boxes of 3 channels and 2 x 2 bins
    boxes = [squares(5, 1, 9, 3), squares(2, 8)]
    found = chunks_of(FEATURES, boxes, roi_size=2)
    assert [p.rows for p in found] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert [torch.cat(list(p.boxes))[:, 2].tolist() for p in found] == [[5, 1], [9, 3], [2, 8]]
    for chunk, image in zip(found, (0, 0, 1), strict=True):
        assert all(torch.equal(a, b[image : image + 1]) for a, b in zip(chunk.features, FEATURES, strict=True))


def test_images_without_boxes_are_chunks_without_boxes() -> None:
    assert [p.rows for p in chunks_of(FEATURES, [squares(), squares()], roi_size=2)] == [slice(0, 0)] * 2


def test_with_fixed_sizes_the_whole_batch_goes_as_it_comes() -> None:
    boxes = [squares(5, 1), squares(2)]
    with fixed_sizes():
        (whole,) = chunks_of(FEATURES, boxes, roi_size=2)
    assert whole.features is FEATURES and whole.boxes is boxes and whole.rows == slice(3)


def test_a_box_larger_than_the_limit_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "MAX_BYTES", 1)
    found = chunks_of(FEATURES, [squares(2, 1), squares()], roi_size=(7, 7))
    assert [p.rows for p in found] == [slice(0, 1), slice(1, 2), slice(2, 2)]
