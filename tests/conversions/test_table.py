from __future__ import annotations

import numpy as np
import pytest

from maskrcnn.conversions.table import COLUMNS, object_table
from test_prediction import prediction


def test_a_row_per_object() -> None:
    table = object_table(prediction(), np.full((8, 10, 3), 7, np.uint8), pixel_size=0.5)
    assert list(table)[:7] == list(COLUMNS)
    first = {name: values[0] for name, values in table.items()}
    assert (first["object"], first["class"], first["score"]) == (1, "long", 0.75)
    assert [first[side] for side in ("x1", "y1", "x2", "y2")] == [2, 1, 6, 4], "boxes stay in pixels"
    assert (first["area"], first["centroid_x"], first["centroid_y"]) == (3, 2, 1.25) and first["intensity_mean"] == 7


def test_boxes_alone_and_nothing() -> None:
    table = object_table(prediction(mask_probs=None), pixel_size=2)
    assert table["area"] == pytest.approx([48, 120]) and "perimeter" not in table
    assert {len(values) for values in object_table(prediction()[:0]).values()} == {0}
