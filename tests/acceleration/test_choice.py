from __future__ import annotations

import torch
from torch import nn

from maskrcnn.acceleration.choice import suits_winograd


def test_only_wide_convolutions_of_many_pixels_go_winograds_way() -> None:
    wide = nn.Conv2d(256, 256, 3, padding=1)
    assert suits_winograd(wide, torch.empty(1, 256, 60, 60))
    assert suits_winograd(wide, torch.empty(20, 256, 14, 14))
    middling = nn.Conv2d(96, 128, 3, padding=1)
    assert suits_winograd(middling, torch.empty(1, 96, 72, 72))  # 324 tiles
    assert not suits_winograd(middling, torch.empty(1, 96, 60, 60))  # 225 tiles
    assert suits_winograd(wide, torch.empty(1, 256, 32, 48))  # 96 tiles
    assert not suits_winograd(wide, torch.empty(1, 256, 14, 14))
    narrow = nn.Conv2d(64, 64, 3, padding=1)
    assert suits_winograd(narrow, torch.empty(1, 64, 128, 192))  # tiles of 6 x 6
    assert not suits_winograd(narrow, torch.empty(1, 64, 60, 60))  # of 4 x 4
    assert not suits_winograd(narrow, torch.empty(100, 64, 14, 14))  # of 7 x 7
    widest = nn.Conv2d(1024, 1024, 3, padding=1)
    assert suits_winograd(widest, torch.empty(1, 1024, 32, 32))  # 64 tiles
    assert not suits_winograd(widest, torch.empty(1, 1024, 28, 28))  # 49 tiles
    assert not suits_winograd(wide, torch.empty(0, 256, 60, 60))
    assert not suits_winograd(wide, torch.empty(1, 256, 60, 60, dtype=torch.double))
    for other in (
        nn.Conv2d(48, 256, 3, padding=1),
        nn.Conv2d(256, 250, 3, padding=1),
        nn.Conv2d(256, 256, 3, padding=1, stride=2),
        nn.Conv2d(256, 256, 3, padding=2, dilation=2),
        nn.Conv2d(256, 256, 3, padding=1, groups=2),
        nn.Conv2d(256, 256, 1),
    ):
        assert not suits_winograd(other, torch.empty(1, other.in_channels, 60, 60))
