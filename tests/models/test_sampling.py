from __future__ import annotations

import torch

from maskrcnn.models.sampling import RoISampler
from maskrcnn.structures import PackedMasks, Proposals, Targets


def test_the_order_of_the_proposals_does_not_change_the_draw() -> None:
    """Of 200 boxes 40 are drawn."""
    random = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 8, (200, 2), generator=random).float() * 8
    boxes, anchors = (
        torch.cat([corners, corners + 1 + 40 * torch.rand(200, 2, generator=random)], dim=1),
        torch.arange(200),
    )
    bitmap = torch.ones(1, 40, 40, dtype=torch.uint8)
    targets = Targets(torch.tensor([[0.0, 0, 40, 40]]), torch.tensor([0]), PackedMasks.from_bitmaps(bitmap))
    sampler = RoISampler(1, samples_per_image=40)
    (expected,) = sampler([Proposals(boxes, torch.zeros(200), anchors)], [targets], [torch.Generator().manual_seed(1)])
    assert len(expected.boxes) == 40 and 0 < expected.num_positives <= 10
    for _ in range(5):
        order = torch.randperm(200, generator=random)
        shuffled = Proposals(boxes[order], torch.zeros(200), anchors[order])
        (found,) = sampler([shuffled], [targets], [torch.Generator().manual_seed(1)])
        assert torch.equal(found.boxes, expected.boxes) and torch.equal(found.labels, expected.labels)
