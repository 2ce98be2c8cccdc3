from __future__ import annotations

import numpy as np
import pytest
import torch

from maskrcnn.ops import label_maps as with_pytorch
from maskrcnn.runtime import label_maps


@pytest.mark.parametrize("most_values", [1 << 24, 300])
def test_as_with_pytorch(monkeypatch: pytest.MonkeyPatch, most_values: int) -> None:
    monkeypatch.setattr(label_maps, "MOST_VALUES", most_values)
    logits = np.random.default_rng(0).standard_normal((4, 12, 16)).astype(np.float32)
    for stride, size, original in ((8, (90, 120), (45, 61)), (4, (48, 64), (48, 64)), (16, (180, 250), (300, 417))):
        expected = with_pytorch.label_map(torch.from_numpy(logits), stride, size, original).numpy()
        found = label_maps.label_map(logits, stride, size, original)
        assert found.shape == original and found.dtype == np.uint8 and (found != expected).mean() < 1e-3
