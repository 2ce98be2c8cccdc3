from __future__ import annotations

import torch

from maskrcnn.kernels.places import in_places


def test_every_part_goes_to_its_places() -> None:
    parts = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0]])
    places = torch.tensor([0, 2]), torch.tensor([1])
    assert in_places(places, parts).tolist() == [[1.0], [3.0], [2.0]]
    assert in_places(places[:1], parts[:1]) is parts[0]


def test_gradients_come_back_from_there() -> None:
    parts = [torch.rand(n, 2, dtype=torch.double, requires_grad=True) for n in (2, 3)]
    places = [torch.tensor([1, 4]), torch.tensor([0, 2, 3])]
    assert torch.autograd.gradcheck(lambda *p: in_places(places, p), parts)
