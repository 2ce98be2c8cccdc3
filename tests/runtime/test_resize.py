from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from maskrcnn.runtime.resize import resize


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize(
    ("before", "after"),
    [((40, 56), (100, 140)), ((150, 200), (80, 107)), ((37, 500), (19, 257)), ((1, 1), (64, 64)), ((60, 80), (60, 33))],
    ids=str,
)
def test_as_pytorch_does_it(before: tuple[int, int], after: tuple[int, int], antialias: bool) -> None:
    image = np.random.default_rng(0).random((*before, 3), np.float32)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = F.interpolate(tensor, after, mode="bilinear", align_corners=False, antialias=antialias)
    found = resize(image, after, antialias)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[0].permute(1, 2, 0).numpy(), atol=2e-6, rtol=0)


def test_by_hand() -> None:
    """Two pixels to four: centres at 1/4 and 3/4 of the way between, edges as they are. Four to two: a triangle."""
    row = np.array([[[0.0], [1.0]]], np.float32)
    assert resize(row, (1, 4), True).ravel().tolist() == [0, 0.25, 0.75, 1]
    row = np.array([[[0.0], [0.0], [1.0], [0.0]]], np.float32)
    # Around 1 and 3, two pixels to either side: weights 1, 3, 3, 1 (the first and the last cut off at the edges).
    np.testing.assert_allclose(resize(row, (1, 2), True).ravel(), [1 / 7, 3 / 7], rtol=1e-6)
    assert resize(row, (1, 2), False).ravel().tolist() == [0, 0.5]
