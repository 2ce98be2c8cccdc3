from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from results.conftest import CLASSES, PERSONS, MakeRun, drawn


@pytest.mark.parametrize("categories", [CLASSES, PERSONS], ids=["classes", "keypoints"])
def test_predictions_come_back(categories: object, make_run: MakeRun) -> None:
    finished = make_run(categories)
    (first, empty), expected = finished, drawn(categories, Path("a.png"))
    assert (first.number, first.name, first.stem, empty.number, empty.name) == (1, "a.png", "a", 2, "more/b.png")
    found = first.prediction
    assert np.array_equal(found.masks(), expected.masks()) and found.names == expected.names
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores)
    if categories is PERSONS:
        np.testing.assert_allclose(found.keypoints, expected.keypoints, atol=1e-3)
    assert len(empty.prediction) == 0 and list(finished.failures()) == [(finished.names[2], "broken")]
    assert len(list(finished)) == 2, "it can be gone through again"
