"""The class of every pixel from logits on a coarse grid."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from maskrcnn.ops import label_maps
from maskrcnn.ops.label_maps import label_map


@pytest.mark.parametrize("most_values", [1, 50, 1 << 24], ids=["a row at a time", "some rows", "all"])
def test_as_torch_interpolates(most_values: int, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_maps, "MOST_VALUES", most_values)
    logits = torch.randn(3, 4, 5, generator=generator)
    whole = F.interpolate(logits[None], scale_factor=8, mode="bilinear", align_corners=False)[0]
    ours = label_map(logits, 8, (32, 40), (32, 40))
    assert ours.dtype == torch.uint8 and torch.equal(ours, whole.argmax(0).byte())
    assert torch.equal(label_map(logits, 8, (29, 33), (29, 33)), ours[:29, :33]), "the rest is padding"
    larger = F.interpolate(logits[None], size=(64, 60), mode="bilinear", align_corners=False)[0].argmax(0)
    assert torch.equal(label_map(logits, 8, (32, 40), (64, 60)), larger.byte())


def test_a_border_lies_between_the_centres_of_cells() -> None:
    """Two cells of 8 pixels, logits 1 and -1 against 0: equal at x = 8, the border of the cells."""
    logits = torch.tensor([[[1.0, -1.0]], [[0.0, 0.0]]])
    assert label_map(logits, 8, (8, 16), (2, 16)).tolist() == [[0] * 8 + [1] * 8] * 2
    assert label_map(logits, 8, (8, 12), (8, 24))[0].tolist() == [0] * 16 + [1] * 8
