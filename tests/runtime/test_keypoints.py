from __future__ import annotations

import numpy as np
import pytest
import torch

from maskrcnn.ops import keypoints as with_pytorch
from maskrcnn.runtime.keypoints import decode_keypoints


@pytest.mark.parametrize("rule", ["detectron2", "torchvision"])
def test_as_with_pytorch(rule: with_pytorch.KeypointRule) -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((5, 3, 8, 8)).astype(np.float32)
    boxes = np.array([[0, 0, 30, 20], [5, 5, 5.5, 90], [2, 3, 2, 3], [-4, 0, 200, 3], [1, 1, 9.5, 8.2]], np.float32)
    expected = with_pytorch.decode_keypoints(torch.from_numpy(logits), torch.from_numpy(boxes), rule).numpy()
    np.testing.assert_allclose(decode_keypoints(logits, boxes, rule), expected, atol=1e-4, rtol=1e-4)


def test_no_object() -> None:
    nothing = decode_keypoints(np.zeros((0, 17, 56, 56), np.float32), np.zeros((0, 4), np.float32), "detectron2")
    assert nothing.shape == (0, 17, 3)
