"""Label images read band by band: the run lengths of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.masks.regions import labelled_regions, regions_in_bands


@pytest.mark.parametrize("band", [1, 40, 100, 41 * 60])
def test_bands_change_nothing(band: int) -> None:
    """Values in many parts, and runs that go on from the bottom of a column to the top of the next."""
    rng = np.random.default_rng(0)
    values = np.kron(rng.integers(0, 7, (8, 12)), np.ones((5, 5), int))[:, :57] * 1000
    values[:, 20:31] = 70_000
    found = regions_in_bands(lambda w: values[w[1] : w[3], w[0] : w[2]], values.shape, band)
    expected = [(number, rle.counts.tolist()) for number, rle in labelled_regions(values)]
    assert [(number, rle.counts.tolist()) for number, rle in found] == expected
    assert expected[-1][0] == 70_000


def test_blank() -> None:
    assert list(regions_in_bands(lambda w: np.zeros((w[3] - w[1], w[2] - w[0]), int), (4, 9), 8)) == []
